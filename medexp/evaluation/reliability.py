"""How well probabilities say how often."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from medexp.evaluation.bootstrap import resampling_weights
from medexp.evaluation.evidence import CalibrationSection, Reliability, ReliabilityBin
from medexp.evaluation.logistic import Recalibration
from medexp.evaluation.logits import log_odds
from medexp.evaluation.one_against_rest import questions
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.share import Share
from medexp.evaluation.weighted import WeightedMetrics
from medexp.types import Estimate


def reliability(predictions: Predictions, *, resamples: int, confidence: float, bins: int = 10) -> Reliability:
    """Return what `Reliability` says, of one split.

    The questions of a task (`questions`: of several classes each against the rest, of grades the cut points) are
    pooled: an image counts with one probability for each. Where the probabilities of an image add up to 1, as those of
    exclusive classes do, the intercept is 0 whatever they are; slope, error and bins say more then.

    The expected calibration error is never negative, so that chance alone gives it a value: about the square root of
    bins / n for perfect probabilities. Bootstrap samples have it twice; the interval takes this off (it is the basic
    bootstrap's), and so reaches 0 for probabilities that may be perfect.

    Slope and intercept are NaN where no finite ones are best: where the scores separate the two answers, or one of
    these does not occur. In bootstrap samples they are one Newton step from those of the split.

    Args:
        predictions: of one split.
        resamples: bootstrap samples, of groups where there are groups; not by class, for how often a class occurs is
            what is asked. 0: no intervals.
        confidence: of each interval.
        bins: of the diagram and of the error, equally many probabilities in each; equal probabilities stay together.
    """
    asked = questions(predictions)
    truth = np.stack([q.truth for q in asked], axis=1).astype(np.float64)
    scores = np.stack([q.scores for q in asked], axis=1)
    place = _bins(scores, bins)
    rows = np.arange(len(scores))
    each = np.zeros((2, len(scores), int(place.max()) + 1))  # of an image in a bin: probabilities, what they miss by
    for column in range(scores.shape[1]):
        each[0, rows, place[:, column]] += 1
        each[1, rows, place[:, column]] += scores[:, column] - truth[:, column]
    line = Recalibration(log_odds(scores), truth)
    metrics = WeightedMetrics(
        predictions, thresholds=dict.fromkeys(predictions.class_names, 0.0), only=("brier", "log_loss")
    )

    def of(weights: np.ndarray) -> dict[str, np.ndarray]:
        exact = weights.astype(np.float64)
        count, missed = exact @ each[0], exact @ each[1]
        slope, intercept = line.of(exact)
        error = np.abs(missed).sum(axis=1) / count.sum(axis=1)
        return {"ece": error, "slope": slope, "intercept": intercept, **metrics.values(weights)}

    value = {name: float(found[0]) for name, found in of(np.ones((1, len(scores)))).items()}
    value |= {"slope": line.slope, "intercept": line.intercept}
    samples = _samples(predictions, resamples)
    parts = [of(weights) for weights in samples]
    drawn = {name: np.concatenate([part[name] for part in parts]) for name in value} if parts else {}
    found = {name: _interval(value[name], drawn.get(name), confidence) for name in value}
    if "ece" in drawn:
        found["ece"] = _basic(value["ece"], drawn["ece"], confidence)
    return Reliability(
        ece=found["ece"],
        slope=found["slope"],
        intercept=found["intercept"],
        brier=found["brier"],
        log_loss=found["log_loss"],
        bins=tuple(_of_bins(predictions, truth, scores, place, confidence=confidence if resamples else None)),
    )


def draw_reliability(section: CalibrationSection, path: Path) -> None:
    """Draw how often came true over what was said, before and after calibration, with the intervals of the latter."""
    from matplotlib.figure import Figure

    from medexp.figure import COLOURS, FAINT, INK, WIDTH, finish, save

    figure = Figure(figsize=(4.8, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    fitted = section.fitted.method != "none"
    for shown, title, colour in (
        (section.before, "as trained", INK),
        (section.after, section.fitted.method, COLOURS[0]),
    ):
        if shown is section.after and not fitted:
            continue
        last = shown is section.after or not fitted
        x = [each.predicted for each in shown.bins]
        y = np.array([each.observed.value for each in shown.bins])
        label = f"{title}: ECE {shown.ece.value:.3f}, slope {shown.slope.value:.2f}"
        axes.plot(
            x,
            y,
            "o-" if last else "o--",
            color=colour,
            linewidth=WIDTH if last else 1.0,
            markersize=5 if last else 3,
            label=label,
        )
        if last:
            ends = np.array([[each.observed.low, each.observed.high] for each in shown.bins]).T
            axes.errorbar(x, y, yerr=np.abs(ends - y), fmt="none", ecolor=colour, elinewidth=1.0, capsize=2)
    axes.set_aspect("equal")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    images = sum(each.images for each in section.after.bins)
    finish(axes, title=f"reliability, test ({images} probabilities)", x="probability said", y="share that came true")
    save(figure, path)


def _samples(predictions: Predictions, resamples: int) -> Iterator[np.ndarray]:
    return resampling_weights(predictions.labels, predictions.groups, resamples=resamples, seed=0, stratify=False)


def _bins(scores: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin, from 0, of each score: equally many in each, equal ones in one, none empty."""
    edges = np.quantile(scores, np.arange(1, bins) / bins, method="higher")
    place = np.searchsorted(np.unique(edges), scores, side="right")
    return np.asarray(np.unique(place, return_inverse=True)[1].reshape(scores.shape))


def _of_bins(
    predictions: Predictions, truth: np.ndarray, scores: np.ndarray, place: np.ndarray, *, confidence: float | None
) -> Iterator[ReliabilityBin]:
    """Bins from the lowest probability on; `confidence` None: no intervals."""
    groups = (
        np.arange(len(scores)) if predictions.groups is None else np.unique(predictions.groups, return_inverse=True)[1]
    )
    owner = np.broadcast_to(groups[:, np.newaxis], scores.shape)
    for number in range(int(place.max()) + 1):
        inside = place == number
        share = Share.of(truth[inside], owner[inside])
        found = Estimate(share.value, share.value, share.value)
        if confidence is not None:
            found = share.estimate(confidence=confidence)
        yield ReliabilityBin(int(inside.sum()), float(scores[inside].mean()), found)


def _interval(value: float, drawn: np.ndarray | None, confidence: float) -> Estimate:
    if drawn is None or not np.isfinite(value):
        return Estimate(value, value, value)
    low, high = np.nanquantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(low), float(high))


def _basic(value: float, drawn: np.ndarray, confidence: float) -> Estimate:
    found = _interval(value, drawn, confidence)
    return Estimate(value, max(0.0, 2 * value - found.high), max(value, 2 * value - found.low))
