"""How well probabilities say how often."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from medexp.evaluation.bootstrap import resampling_weights
from medexp.evaluation.evidence import CalibrationSection, Reliability, ReliabilityBin
from medexp.evaluation.logistic import Recalibration
from medexp.evaluation.logits import log_odds
from medexp.evaluation.one_against_rest import questions
from medexp.evaluation.predictions import Predictions
from medexp.evaluation.share import Share
from medexp.types import Estimate


def reliability(predictions: Predictions, *, resamples: int, confidence: float, bins: int = 10) -> Reliability:
    """Return what `Reliability` says, of one split.

    The questions of a task (`questions`: of several classes each against the rest, of grades the cut points) are
    pooled: an image counts with one probability for each. Where the probabilities of an image add up to 1, as those of
    exclusive classes do, the intercept is 0 whatever they are; slope, error and bins say more then.

    The expected calibration error is never negative, so that chance alone gives it a value: about the square root of
    bins / n for perfect probabilities. Bootstrap samples have it twice; the interval takes this off (it is the basic
    bootstrap's). It begins at 0 where chance alone would give as much: what samples miss in each bin, less what the
    split misses there.

    Slope and intercept are NaN where no finite ones are best: where the scores separate the two answers, or one of
    these does not occur. In bootstrap samples they are one Newton step from those of the split.

    Args:
        predictions: of one split.
        resamples: bootstrap samples, of groups where there are groups; not by class, for how often a class occurs is
            what is asked. 0: no intervals.
        confidence: of each interval.
        bins: of the diagram and of the error, equally many probabilities in each; equal probabilities stay together.
    """
    return reliabilities([predictions], resamples=resamples, confidence=confidence, bins=bins)[0]


def reliabilities(
    many: Sequence[Predictions], *, resamples: int, confidence: float, bins: int = 10
) -> tuple[Reliability, ...]:
    """Return `reliability` of several predictions of the same images, by the same bootstrap samples."""
    from threadpoolctl import threadpool_limits

    parts = [_Sums(predictions, bins) for predictions in many]
    columns = np.concatenate([part.columns for part in parts], axis=1)
    ends = np.cumsum([part.columns.shape[1] for part in parts])[:-1]
    samples = resampling_weights(many[0].labels, many[0].groups, resamples=resamples, seed=0, stratify=False)
    with threadpool_limits(limits=1, user_api="blas"):  # such flat products only wait for each other's threads
        sums = [weights.astype(np.float64) @ columns for weights in samples]
    drawn = np.split(np.concatenate(sums), ends, axis=1) if sums else [None] * len(parts)
    return tuple(part.reliability(each, confidence=confidence) for part, each in zip(parts, drawn, strict=True))


class _Sums:
    """Columns that everything but the slope is a sum of, so that a bootstrap sample costs one product of matrices."""

    def __init__(self, predictions: Predictions, bins: int) -> None:
        asked = questions(predictions)
        self._owners = np.arange(len(predictions.keys))
        if predictions.groups is not None:
            self._owners = np.unique(predictions.groups, return_inverse=True)[1]
        self._truth = np.stack([q.truth for q in asked], axis=1).astype(np.float64)
        self._scores = np.stack([q.scores for q in asked], axis=1)
        self._place = _bins(self._scores, bins)
        self._line = Recalibration(log_odds(self._scores), self._truth)
        self._bins = int(self._place.max()) + 1
        missed = self._scores - self._truth
        rows, excess = np.arange(len(missed)), np.zeros((len(missed), self._bins))
        for column in range(missed.shape[1]):
            excess[rows, self._place[:, column]] += missed[:, column]
        squares = (missed**2).mean(axis=1)
        images = np.ones(len(missed))
        self.columns = np.column_stack([images, squares, _log_losses(predictions), excess, self._line.columns])

    def reliability(self, drawn: np.ndarray | None, *, confidence: float) -> Reliability:
        """Return all of it; `drawn` is the sums of bootstrap samples, None: no intervals."""
        value = {name: float(found[0]) for name, found in self._of(self.columns.sum(axis=0, keepdims=True)).items()}
        value |= {"slope": self._line.slope, "intercept": self._line.intercept}
        found = {name: Estimate(number, number, number) for name, number in value.items()}
        if drawn is not None:
            samples = self._of(drawn)
            found = {name: _interval(value[name], samples[name], confidence) for name in value}
            total = self.columns.sum(axis=0)
            chance = np.abs(self._excess(drawn - drawn[:, :1] * total / total[0])).sum(axis=1) / self._truth.size
            found["ece"] = _basic(found["ece"], chance=float(np.quantile(chance, confidence)))
        return Reliability(**found, bins=tuple(self._of_bins(confidence if drawn is not None else None)))

    def _of(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        images, excess = sums[:, 0], self._excess(sums)
        slope, intercept = self._line.of_sums(sums[:, 3 + self._bins :])
        return {
            "ece": np.abs(excess).sum(axis=1) / (images * self._truth.shape[1]),
            "slope": slope,
            "intercept": intercept,
            "brier": sums[:, 1] / images,
            "log_loss": sums[:, 2] / images,
        }

    def _excess(self, sums: np.ndarray) -> np.ndarray:
        """By how much what was said exceeds what came true, in each bin."""
        return sums[:, 3 : 3 + self._bins]

    def _of_bins(self, confidence: float | None) -> Iterator[ReliabilityBin]:
        owner = np.broadcast_to(self._owners[:, np.newaxis], self._truth.shape)
        for number in range(self._bins):
            inside = self._place == number
            share = Share.of(self._truth[inside], owner[inside])
            found = Estimate(share.value, share.value, share.value)
            if confidence is not None:
                found = share.estimate(confidence=confidence)
            yield ReliabilityBin(int(inside.sum()), float(self._scores[inside].mean()), found)


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


def _log_losses(predictions: Predictions) -> np.ndarray:
    """Of each image: minus the logarithm of the probability of what is true; multi-label: mean over the classes."""
    exact, labels = predictions.probabilities.astype(np.float64), predictions.labels
    if predictions.task == "multilabel":
        true = np.where(labels == 1, exact, 1 - exact)
    else:
        true = np.take_along_axis(exact, labels[:, np.newaxis], axis=1) / exact.sum(axis=1, keepdims=True)
    return np.asarray(-np.log(true.clip(np.finfo(np.float64).eps)).mean(axis=1))


def _bins(scores: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin, from 0, of each score: equally many in each, equal ones in one, none empty."""
    edges = np.quantile(scores, np.arange(1, bins) / bins, method="higher")
    place = np.searchsorted(np.unique(edges), scores, side="right")
    return np.asarray(np.unique(place, return_inverse=True)[1].reshape(scores.shape))


def _interval(value: float, drawn: np.ndarray, confidence: float) -> Estimate:
    if not np.isfinite(value):
        return Estimate(value, value, value)
    low, high = np.nanquantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, min(float(low), value), max(float(high), value))


def _basic(found: Estimate, *, chance: float) -> Estimate:
    """The basic bootstrap's (Davison and Hinkley, 1997, section 5.2); from 0 on where chance alone explains it."""
    value = found.value
    low = 0.0 if value <= chance else max(0.0, 2 * value - found.high)
    return Estimate(value, low, max(value, 2 * value - found.low))
