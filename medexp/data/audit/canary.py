"""The leak canary: whether a network predicts labels that have nothing to do with the images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from medexp.data.audit.catalogue import KINDS
from medexp.data.audit.findings import Finding, Instance
from medexp.data.audit.groups import crossings, identity
from medexp.data.audit.measure import Measured
from medexp.data.audit.near_duplicates import NearDuplicates
from medexp.data.audit.statistics import area
from medexp.data.audit.validation import by_appearance, sample_rows
from medexp.data.dataset import Dataset

LEVEL = 0.52
_SHUFFLES = 8
_MOST = 4_000
_UNITS = "groups and copies"


def canary_findings(
    dataset: Dataset, measured: Measured, *, clusters: Sequence[np.ndarray], near: NearDuplicates, seed: int
) -> list[Finding]:
    """Return `leak_canary`, refused where random labels are predicted better than by chance, else a note.

    What belongs together (a group, and copies that the audit found) gets one random label, half of them each;
    a network of 64 hidden units learns those of the training split from 16 by 16 pixels, and is tested on those of
    the validation split. Eight shuffles; refused where the lower bound of the mean area under the ROC curve (Student's
    t, 95 %) is above 0.52. Done once more for every column that looks like an identity, though no group.
    At most 4,000 training images are used, those of which something stands in the validation split first (Yagis et
    al., Scientific Reports 11:22544, 2021: random labels predicted with 96 % accuracy under a leaky split).
    """
    units = {_UNITS: _linked(dataset, clusters, near)}
    for name, values in {**dataset.metadata, **dataset.hidden}.items():
        if identity(name, values) is not None and crossings(values, dataset.splits):
            units[name] = _joined(units[_UNITS], values)
    instances = []
    for name, unit in units.items():
        instance = _try(dataset, measured, name, unit, seed=seed)
        if instance is None:
            text = "the leak canary needs readable images in train and val, and two groups in val"
            return [Finding("not_checked", "note", f"{text}.", (Instance("not_checked", ("leak_canary",), text=text),))]
        instances.append(instance)
    kind = "leak_canary"
    findings = []
    for sings in (True, False):
        chosen = tuple(item for item in instances if (item.numbers["low"] > LEVEL) == sings)
        if chosen:
            verdict = "Random labels are predicted" if sings else "Random labels are not predicted, as it should be"
            summary = f"{verdict}: {'; '.join(item.text for item in chosen)}."
            severity = KINDS[kind].severity if sings else "note"
            strongest = max(chosen, key=lambda item: item.numbers["auc"])
            findings.append(Finding(kind, severity, summary, chosen, strongest.numbers))
    return findings


def _try(dataset: Dataset, measured: Measured, name: str, unit: np.ndarray, *, seed: int) -> Instance | None:
    from scipy.stats import t

    order = sample_rows(dataset, np.ones(len(unit), bool), seed=seed, most=len(unit))
    unit = by_appearance(unit[order])[np.argsort(order)]
    val = sample_rows(dataset, measured.readable & (dataset.splits == "val"), seed=seed, most=_MOST)
    shared = np.isin(unit, unit[val])
    in_training = measured.readable & (dataset.splits == "train")
    known = sample_rows(dataset, in_training & shared, seed=seed, most=_MOST)
    rest = sample_rows(dataset, in_training & ~shared, seed=seed, most=_MOST - len(known))
    train = np.concatenate([known, rest])
    if not len(train) or len(np.unique(unit[val])) < 2 or len(np.unique(unit[train])) < 2:
        return None
    pixels = measured.tiny.reshape(len(measured.tiny), -1)
    centre, spread = pixels[train].mean(axis=0), pixels[train].std(axis=0) + 1e-3
    x, y = (pixels[train] - centre) / spread, (pixels[val] - centre) / spread
    areas = np.array([_shuffled_area(x, y, unit[train], unit[val], seed=[seed, i]) for i in range(_SHUFFLES)])
    areas = areas[np.isfinite(areas)]
    if len(areas) < 2:
        return None
    mean = float(areas.mean())
    half = float(t.ppf(0.975, len(areas) - 1) * areas.std(ddof=1) / np.sqrt(len(areas)))
    numbers = {
        "auc": mean,
        "low": mean - half,
        "high": min(1.0, mean + half),
        "level": LEVEL,
        "shuffles": float(len(areas)),
        "shared": float(np.isin(unit[val], unit[train]).mean()),
    }
    text = (
        f"labels shuffled by {name}: AUC {mean:.3f} (95 % interval {mean - half:.3f} to {min(1.0, mean + half):.3f}) "
        f"over {len(areas)} shuffles; {numbers['shared']:.1%} of the validation images have theirs in training"
    )
    return Instance("leak_canary", (name,), text=text, numbers=numbers)


def _shuffled_area(
    x: np.ndarray, y: np.ndarray, unit_of_x: np.ndarray, unit_of_y: np.ndarray, *, seed: list[int]
) -> float:
    """The area on the validation images `y` after learning one shuffle of the labels on `x`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    labels = np.zeros(max(unit_of_x.max(), unit_of_y.max()) + 1, bool)
    for units in (np.intersect1d(unit_of_x, unit_of_y), np.setxor1d(np.unique(unit_of_x), np.unique(unit_of_y))):
        shuffled = rng.permutation(units)
        labels[shuffled[: len(units) // 2]] = True
    if len(np.unique(labels[unit_of_x])) < 2 or len(np.unique(labels[unit_of_y])) < 2:
        return float("nan")
    network = MLPClassifier(
        (64,), alpha=1e-4, batch_size=min(128, len(x)), learning_rate_init=3e-3, max_iter=25, random_state=seed[1]
    )
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):  # products too small for several threads
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(x, labels[unit_of_x])
    return area(labels[unit_of_y], network.predict_proba(y)[:, 1])


def _linked(dataset: Dataset, clusters: Sequence[np.ndarray], near: NearDuplicates) -> np.ndarray:
    """What belongs together: groups, identical images and nearly identical ones; integer codes, (n,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(dataset.keys)
    first = [*(rows[:1].repeat(len(rows) - 1) for rows in clusters), near.first]
    second = [*(rows[1:] for rows in clusters), near.second]
    a, b = np.concatenate(first).astype(int), np.concatenate(second).astype(int)
    links = coo_array((np.ones(len(a)), (a, b)), shape=(n, n))
    codes = np.asarray(connected_components(links, directed=False)[1])
    return codes if dataset.groups is None else _joined(codes, dataset.groups)


def _joined(codes: np.ndarray, values: Sequence[str]) -> np.ndarray:
    """The finest units that keep together what has the same code or the same value ("" is no value)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names = np.unique(np.asarray(values, dtype=str), return_inverse=True)[1].reshape(-1)
    rows = np.flatnonzero(np.asarray(values, dtype=str) != "")
    size = int(codes.max()) + 1
    links = coo_array((np.ones(len(rows)), (codes[rows], names[rows] + size)), shape=(size + len(codes),) * 2)
    return np.asarray(connected_components(links, directed=False)[1][codes])
