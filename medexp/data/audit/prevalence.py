"""Classes that are missing, tiny, or of another prevalence from split to split."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from medexp.data.audit.catalogue import KINDS
from medexp.data.audit.findings import Finding, Instance, Severity, listed, p_value, plural
from medexp.data.audit.images import group_codes, indicators
from medexp.data.audit.statistics import design_effect, holm, two_proportions
from medexp.data.dataset import Dataset
from medexp.types import SPLITS

_LEVEL = 0.05
_MATERIAL = 0.2


def class_counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Return the images of each split and class."""
    has = indicators(dataset)
    return {
        split: {name: int(has[dataset.splits == split, i].sum()) for i, name in enumerate(dataset.class_names)}
        for split in SPLITS
    }


def class_findings(dataset: Dataset, *, min_per_class: int) -> list[Finding]:
    """Return `class_missing` and `class_tiny`, an instance for each class of a split.

    A class of a multi-label task must also be absent from some images. A training can go on where train has no image
    without the class, or where validation or test lack it, or its absence: this is but a warning.
    """
    missing: list[Instance] = []
    useless: list[Instance] = []
    tiny: list[Instance] = []
    totals: dict[str, int] = {split: int((dataset.splits == split).sum()) for split in SPLITS}
    for split, counts in class_counts(dataset).items():
        if not totals[split]:
            missing.append(Instance("class_missing", (split,), text=f"{split} has no images at all"))
            continue
        for name, count in counts.items():
            numbers = {"images": float(count)}
            multilabel = dataset.task == "multilabel"
            if count == 0 or (multilabel and count == totals[split]):
                text = f"in {split} every image is {name}" if count else f"{split} has no {name}"
                goes_on = multilabel and (split != "train" or count > 0)
                if goes_on:
                    text += ", which is left out of its averages" if split != "train" else ": nothing is learned of it"
                instance = Instance("class_missing", (f"{split}/{name}",), text=text, numbers=numbers)
                (useless if goes_on else missing).append(instance)
            elif count < min_per_class:
                text = f"{split} has {plural(count, 'image')} of {name}"
                tiny.append(Instance("class_tiny", (f"{split}/{name}",), text=text, numbers=numbers))
    few = f"Fewer than {min_per_class} images"
    found: tuple[tuple[str, Severity, str, list[Instance]], ...] = (
        ("class_missing", "refuse", "Missing", missing),
        ("class_missing", "warn", "Missing", useless),
        ("class_tiny", KINDS["class_tiny"].severity, few, tiny),
    )
    return [
        Finding(kind, severity, f"{what}: {'; '.join(item.text for item in instances)}.", tuple(instances))
        for kind, severity, what, instances in found
        if instances
    ]


def prevalence_findings(dataset: Dataset) -> list[Finding]:
    """Return `prevalence_shift`, an instance for each class and pair of splits.

    A chi-squared test (Fisher's exact one where an expected count is below 5), corrected for images that come in
    groups (Rao and Scott, 1981) and for the number of comparisons (Holm, 1979). Reported where p < 0.05 *and* the
    difference is material: Cohen's h, the difference of 2 arcsin sqrt(prevalence), is 0.2 or more.
    """
    has, groups = indicators(dataset), group_codes(dataset)
    tests = []
    classes = [1] if dataset.task == "binary" else range(len(dataset.class_names))
    for i in classes:
        effect = design_effect(has[:, i], groups)
        for a, b in combinations([split for split in SPLITS if (dataset.splits == split).any()], 2):
            x, y = has[dataset.splits == a, i], has[dataset.splits == b, i]
            tests.append((i, a, b, x.mean(), y.mean(), two_proportions(x, y, design_effect=effect)))
    if not tests:
        return []
    adjusted = holm(np.array([test[-1] for test in tests]))
    instances = []
    for (i, a, b, x, y, _), p in zip(tests, adjusted, strict=True):
        h = abs(2 * np.arcsin(np.sqrt(x)) - 2 * np.arcsin(np.sqrt(y)))
        if p < _LEVEL and h >= _MATERIAL:
            name = dataset.class_names[i]
            text = f"{name} is {x:.1%} of {a} and {y:.1%} of {b} ({p_value(p)}, Cohen's h = {h:.2f})"
            numbers = {a: float(x), b: float(y), "p": float(p), "cohens_h": float(h)}
            instances.append(Instance("prevalence_shift", (f"{a}/{b}/{name}",), text=text, numbers=numbers))
    if not instances:
        return []
    ordered = sorted(instances, key=lambda instance: instance.numbers["p"])
    statistics = {name: ordered[0].numbers[name] for name in ("p", "cohens_h")}
    summary = f"The prevalence differs: {listed([instance.text for instance in ordered])}."
    return [Finding("prevalence_shift", "warn", summary, tuple(instances), statistics)]
