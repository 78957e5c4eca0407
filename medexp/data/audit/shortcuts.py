"""Properties of files and of whole images that differ by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medexp.data.audit.catalogue import KINDS
from medexp.data.audit.findings import Finding, Instance, p_value
from medexp.data.audit.images import group_codes, image_refs, indicators
from medexp.data.audit.measure import Measured
from medexp.data.audit.statistics import area, cramers_v, holm
from medexp.data.dataset import Dataset

_LEVEL = 0.01


@dataclass(frozen=True)
class _Property:
    """A number of each image, and from which area under the curve on (for some class) it is worth a warning."""

    kind: str
    name: str
    values: np.ndarray
    separation: float


def shortcut_findings(dataset: Dataset, measured: Measured) -> list[Finding]:
    """Return the kinds `shortcut_size`, `_file_size`, `_bit_depth`, `_mode`, `_format`, `_brightness`, `_border`.

    A number is tested by Kruskal and Wallis' test over the classes, on the means of each group in each class, so that
    many images of one patient count once; its effect is the area under the ROC curve of the class that it separates
    best from the rest. A name (mode, format) is tested by chi-squared; its effect is Cramer's V. Reported where
    p < 0.01 after Holm's correction and the effect is large: an area of 0.70 or more (0.85 for brightness, border and
    file size, in which healthy and ill may really differ), a V of 0.30 or more.
    """
    rows = np.flatnonzero(measured.readable)
    if not len(rows):
        return []
    candidates = [_of_number(dataset, rows, item) for item in _numbers(dataset, measured)]
    candidates += [_of_name(dataset, rows, *item) for item in _names(dataset)]
    tested = [item for item in candidates if item is not None]
    if not tested:
        return []
    adjusted = holm(np.array([instance.numbers["p"] for instance, _ in tested]))
    by_kind: dict[str, list[Instance]] = {}
    for (instance, material), p in zip(tested, adjusted, strict=True):
        if material and p < _LEVEL:
            by_kind.setdefault(instance.kind, []).append(instance)
    findings = []
    for kind, instances in by_kind.items():
        summary = f"{'; '.join(instance.text for instance in instances)}."
        statistics = {f"{item.tokens[0]}_{name}": value for item in instances for name, value in item.numbers.items()}
        summary = summary[0].upper() + summary[1:]
        findings.append(Finding(kind, KINDS[kind].severity, summary, tuple(instances), statistics))
    return findings


def _numbers(dataset: Dataset, measured: Measured) -> list[_Property]:
    facts = dataset.facts
    width, height = facts.width.astype(float), facts.height.astype(float)
    return [
        _Property("shortcut_size", "width", width, 0.70),
        _Property("shortcut_size", "height", height, 0.70),
        _Property("shortcut_size", "aspect ratio", width / np.maximum(height, 1), 0.70),
        _Property("shortcut_file_size", "file size", facts.bytes.astype(float), 0.85),
        _Property("shortcut_bit_depth", "bit depth", facts.bits.astype(float), 0.60),
        _Property("shortcut_brightness", "mean brightness", measured.mean.astype(float), 0.85),
        _Property("shortcut_brightness", "contrast", measured.deviation.astype(float), 0.85),
        _Property("shortcut_border", "border brightness", measured.border_mean.astype(float), 0.85),
        _Property("shortcut_border", "border contrast", measured.border_deviation.astype(float), 0.85),
    ]


def _names(dataset: Dataset) -> list[tuple[str, str, np.ndarray]]:
    return [
        ("shortcut_mode", "colour mode", dataset.facts.mode),
        ("shortcut_format", "file format", dataset.facts.format),
    ]


def _of_number(dataset: Dataset, rows: np.ndarray, item: _Property) -> tuple[Instance, bool] | None:
    from scipy.stats import kruskal

    values = item.values[rows]
    if len(np.unique(values)) < 2:
        return None
    has, groups = indicators(dataset)[rows], group_codes(dataset)[rows]
    usable = [i for i in range(has.shape[1]) if 0 < has[:, i].sum() < len(rows)]
    if not usable:
        return None
    areas = {i: area(has[:, i], values) for i in usable}
    best = max(usable, key=lambda i: abs(areas[i] - 0.5))
    if dataset.task == "binary":
        best = 1
    means = [_group_means(values[has[:, i]], groups[has[:, i]]) for i in usable]
    if dataset.task == "multilabel":
        means = [_group_means(values[chosen], groups[chosen]) for chosen in (has[:, best], ~has[:, best])]
    p = float(kruskal(*means).pvalue) if len(np.unique(np.concatenate(means))) > 1 else 1.0
    effect = max(areas[best], 1 - areas[best])
    name = dataset.class_names[best]
    inside, outside = np.median(values[has[:, best]]), np.median(values[~has[:, best]])
    text = (
        f"{item.name} separates {name} from the rest with an AUC of {effect:.2f} (median {inside:.4g} against "
        f"{outside:.4g}, {p_value(p)})"
    )
    typical = [
        int(chosen[np.abs(item.values[chosen] - middle).argmin()])
        for chosen, middle in ((rows[has[:, best]], inside), (rows[~has[:, best]], outside))
    ]
    numbers = {"p": p, "auc": effect, "median": float(inside), "median_of_the_rest": float(outside)}
    instance = Instance(item.kind, (item.name,), image_refs(dataset, typical), text, numbers)
    return instance, effect >= item.separation


def _of_name(
    dataset: Dataset, rows: np.ndarray, kind: str, what: str, names: np.ndarray
) -> tuple[Instance, bool] | None:
    values, codes = np.unique(names[rows].astype(str), return_inverse=True)
    if len(values) < 2:
        return None
    has = indicators(dataset)[rows]
    tests = [cramers_v(has[:, i].astype(int), codes.reshape(-1)) for i in range(has.shape[1])]
    best = max(range(len(tests)), key=lambda i: tests[i][0])
    v, p = tests[best]
    p = min(1.0, p * len(tests))
    shares = {value: float(has[codes.reshape(-1) == i, best].mean()) for i, value in enumerate(values)}
    said = ", ".join(f"{share:.0%} of {value}" for value, share in shares.items())
    text = f"{what} tells {dataset.class_names[best]}: it is {said} (Cramer's V = {v:.2f}, {p_value(p)})"
    typical = [int(rows[codes.reshape(-1) == i][0]) for i in range(min(4, len(values)))]
    return Instance(kind, (what,), image_refs(dataset, typical), text, {"p": p, "cramers_v": v}), v >= 0.30


def _group_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    codes = np.unique(groups, return_inverse=True)[1].reshape(-1)
    return np.asarray(np.bincount(codes, weights=values) / np.bincount(codes))
