"""The evidence as numbers with names: what MLflow draws, `result.json` holds and a sweep compares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medexp.evaluation.evidence import Evidence


def numbers(evidence: Evidence) -> dict[str, float]:
    """Return metrics by name; what is not a number is left out.

    `test_<metric>` with its interval, `test_<metric>_low` and `_high`, of each metric over all classes;
    `test_<metric>/<class>` alone. `threshold`, and `val_sensitivity` and `val_specificity` that it achieves, of a
    binary task, `threshold/<class>` of a multi-label one. `test_ece`, `test_calibration_slope` and `_intercept`,
    `worst_subgroup_<metric>`, `worst_corruption_auc`, `test_unsure`, `test_refused`, `saliency_similarity`.
    """
    found = dict(_all(evidence))
    return {name: value for name, value in found.items() if value == value}


def _all(evidence: Evidence) -> Iterator[tuple[str, float]]:
    from medexp.evaluation.metric_keys import metric_keys

    if evidence.operating is not None:
        keys = metric_keys(evidence.class_names)
        for name, threshold in evidence.operating.chosen.thresholds.items():
            yield ("threshold" if evidence.task == "binary" else f"threshold/{keys[name]}"), threshold
        if evidence.task == "binary":
            for achieved in evidence.operating.chosen.achieved.values():
                yield "val_sensitivity", achieved.sensitivity.value
                yield "val_specificity", achieved.specificity.value
    for name, estimate in evidence.metrics["test"].items():
        yield f"test_{name}", estimate.value
        if "/" not in name and evidence.resampling.resamples:
            yield f"test_{name}_low", estimate.low
            yield f"test_{name}_high", estimate.high
    if evidence.calibration is not None:
        after = evidence.calibration.after
        yield "test_ece", after.ece.value
        yield "test_calibration_slope", after.slope.value
        yield "test_calibration_intercept", after.intercept.value
    if evidence.subgroups is not None and evidence.subgroups.worst is not None:
        metric = evidence.subgroups.metric
        yield f"worst_subgroup_{metric}", evidence.subgroups.worst.metrics[metric].value
    if evidence.robustness is not None:
        found = [point.metrics["auc"].value for point in evidence.robustness.corrupted if "auc" in point.metrics]
        if found:
            yield "worst_corruption_auc", min(found)
    if evidence.abstention is not None:
        yield "test_unsure", evidence.abstention.unsure
        yield "test_refused", evidence.abstention.refused.value
    if evidence.saliency is not None:
        yield "saliency_similarity", evidence.saliency.similarity
