"""Count on test what conformal sets and refusal promise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from medexp.decision.conformal import Conformal
from medexp.decision.feature_space import FeatureSpace
from medexp.evaluation.abstention.clopper_pearson import clopper_pearson, worth
from medexp.evaluation.abstention.conformal import rank
from medexp.evaluation.evidence import AbstentionSection
from medexp.evaluation.predictions import Predictions

ABSENT = "absent/"  # before a class of a multi-label task: of images without it
ALL = "all"
_TAIL = 0.025


@dataclass(frozen=True)
class _Promise:
    """Of one class: which test images have it (n,), which sets hold it (n,), its limit, and what that rests on."""

    name: str
    rows: np.ndarray
    held: np.ndarray
    limit: float
    fitted_on: int | None


def abstention_section(
    test: Predictions,
    *,
    conformal: Conformal,
    space: FeatureSpace,
    features_test: np.ndarray,
    thresholds: Mapping[str, float],
    confidence: float,
) -> AbstentionSection:
    """Return coverage by class, how often the model is sure, how right it then is, and how often it refuses.

    Args:
        test: calibrated predictions.
        conformal: fitted on validation, with the same calibration.
        space: fitted on training and validation.
        features_test: pooled features of the images of `test`, in their order, (n, d).
        thresholds: of the operating point, by class name.
        confidence: of the intervals: exact binomial ones, in which patients count rather than images where there are
            groups.
    """
    task, names = test.task, test.class_names
    sets = conformal.sets(test.probabilities, task=task, class_names=names)
    decided = test.decisions(thresholds)
    unsure = conformal.unsure(test.probabilities, task=task, class_names=names, decided=decided)
    alone = test.groups is None
    units = np.asarray(test.keys if test.groups is None else test.groups)
    of_image = None if alone else units
    of_answer = np.repeat(units, len(names)).reshape(decided.shape) if task == "multilabel" else of_image
    promises = [promise for promise in _promises(test, conformal, sets) if promise.rows.any()]
    held = np.concatenate([promise.held[promise.rows] for promise in promises])
    owners = np.concatenate([units[promise.rows] for promise in promises])
    within = {p.name: _kept(p, coverage=conformal.coverage, groups=of_image) for p in promises}
    sizes = sets.sum(axis=-1)
    sure = ~unsure
    return AbstentionSection(
        coverage=conformal.coverage,
        limits={promise.name: promise.limit for promise in _promises(test, conformal, sets)},
        achieved={
            **{
                p.name: clopper_pearson(p.held[p.rows], confidence=confidence, groups=_of(of_image, p.rows))
                for p in promises
            },
            ALL: clopper_pearson(held, confidence=confidence, groups=None if of_answer is None else owners),
        },
        within={**within, ALL: all(within.values())},
        sizes={str(size): float((sizes == size).mean()) for size in range(int(sizes.max()) + 1)},
        unsure=float(unsure.mean()),
        accuracy_if_sure=clopper_pearson(
            (decided == test.labels)[sure], confidence=confidence, groups=_of(of_answer, sure)
        ),
        false_refusal=space.false_refusal,
        refused=clopper_pearson(space.refused(features_test), confidence=confidence, groups=of_image),
        threshold=space.threshold,
    )


def _promises(test: Predictions, conformal: Conformal, sets: np.ndarray) -> Iterator[_Promise]:
    for i, name in enumerate(test.class_names):
        limit, fitted_on = conformal.limits[name], conformal.images.get(name)
        if test.task != "multilabel":
            yield _Promise(name, test.labels == i, sets[:, i], limit, fitted_on)
            continue
        assert conformal.absent_limits is not None
        yield _Promise(name, test.labels[:, i] == 1, sets[:, i, 1], limit, fitted_on)
        limit, fitted_on = conformal.absent_limits[name], (conformal.absent_images or {}).get(name)
        yield _Promise(f"{ABSENT}{name}", test.labels[:, i] == 0, sets[:, i, 0], limit, fitted_on)


def _of(groups: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if groups is None else groups[rows]


def _kept(promise: _Promise, *, coverage: float, groups: np.ndarray | None) -> bool:
    """Whether so few test images, or fewer, whose set holds the class are to be expected now and then.

    The coverage that a limit from n validation images really has is itself drawn, from Beta(n + 1 - k, k), k its rank.
    Images of one patient count as fewer here, in test and in validation.
    """
    from scipy.stats import betabinom, binom

    held = promise.held[promise.rows]
    counted = worth(held, groups=_of(groups, promise.rows))
    size, hits = round(counted), round(float(held.mean()) * counted)
    if promise.fitted_on is None:
        return bool(binom.cdf(hits, size, coverage) >= _TAIL)
    k = rank(promise.fitted_on, coverage=coverage)
    if not k:
        return True
    each = counted / len(held)
    return bool(betabinom.cdf(hits, size, (promise.fitted_on + 1 - k) * each, k * each) >= _TAIL)
