"""The shortcut probe: how well what is not anatomy tells the class."""

from __future__ import annotations

import numpy as np

from medexp.data.audit.findings import Finding, Instance
from medexp.data.audit.images import group_codes, indicators, label_codes
from medexp.data.audit.measure import Measured
from medexp.data.audit.statistics import Area, macro_area
from medexp.data.audit.validation import by_appearance, folds, learnable, sample_rows
from medexp.data.dataset import Dataset

LEVEL = 0.75
_TREES = 60
_FILE_SIZE = 3


def probe_findings(dataset: Dataset, measured: Measured, *, seed: int) -> list[Finding]:
    """Return `shortcut_probe`: a warning where the lower bound of its area is above 0.75, else a note.

    60 extremely randomised trees (Geurts et al., 2006) see of each image its width, height, aspect, file size, bit
    depth, format, colour mode, mean, deviation, and the mean and deviation of a strip along the border. Up to five
    folds by group; the area under the ROC curve of all held-out images, the mean over classes one against rest where
    there are more than two; its interval from 200 bootstrap samples of whole groups. At most 20,000 images are used.
    The size of a compressed file grows with the detail in the image, so the area without it is given as well.
    """
    rows = sample_rows(dataset, measured.readable, seed=seed)
    everything = _features(dataset, measured)[rows]
    varies = np.ptp(everything, axis=0) > 0 if len(rows) else np.zeros(everything.shape[1], bool)
    features = everything[:, varies]
    used = f"{len(rows):,} images"
    if not features.shape[1]:
        text = "the shortcut probe saw no property that varies"
        return [Finding("not_checked", "note", f"{text}.", (Instance("not_checked", ("shortcut_probe",), text=text),))]
    found = _held_out_area(dataset, rows, features, seed=seed)
    if np.isnan(found.value):
        text = "the shortcut probe needs a class that two groups have, and two groups without it"
        return [Finding("not_checked", "note", f"{text}.", (Instance("not_checked", ("shortcut_probe",), text=text),))]
    numbers = {"auc": found.value, "low": found.low, "high": found.high, "level": LEVEL, "images": float(len(rows))}
    text = f"AUC {found.value:.3f} (95 % interval {found.low:.3f} to {found.high:.3f}) on {used} held out by group"
    if varies[_FILE_SIZE] and varies.sum() > 1:
        varies[_FILE_SIZE] = False
        without = _held_out_area(dataset, rows, everything[:, varies], seed=seed, resamples=1)
        numbers["auc_without_file_size"] = without.value
        text = f"{text}, {without.value:.3f} without the file size"
    warn = found.low > LEVEL
    instance = Instance("shortcut_probe", ("probe",), text=text, numbers=numbers)
    verdict = "tell the class" if warn else "do not tell the class well"
    limit = f"a warning is given where the lower bound is above {LEVEL}"
    summary = f"Size, format, brightness and border alone {verdict}: {text}; {limit}."
    return [Finding("shortcut_probe", "warn" if warn else "note", summary, (instance,), numbers)]


def _features(dataset: Dataset, measured: Measured) -> np.ndarray:
    """What is not anatomy, float32 (n, features)."""
    facts = dataset.facts
    width, height = facts.width.astype(float), facts.height.astype(float)
    names = [np.unique(column.astype(str), return_inverse=True)[1].reshape(-1) for column in (facts.format, facts.mode)]
    columns = [
        width,
        height,
        width / np.maximum(height, 1),
        facts.bytes,
        facts.bits,
        *names,
        measured.mean,
        measured.deviation,
        measured.border_mean,
        measured.border_deviation,
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _held_out_area(
    dataset: Dataset, rows: np.ndarray, features: np.ndarray, *, seed: int, resamples: int = 200
) -> Area:
    from sklearn.ensemble import ExtraTreesClassifier

    has = indicators(dataset)[rows]
    multilabel = dataset.task == "multilabel"
    targets = has.astype(int) if multilabel else label_codes(dataset)[rows]
    scores = np.full(has.shape, np.nan)
    for training, held_out in folds(dataset, rows, seed=seed):
        trees = ExtraTreesClassifier(_TREES, min_samples_leaf=5, max_features=None, n_jobs=-1, random_state=seed)
        trees.fit(features[training], targets[training])
        answer = trees.predict_proba(features[held_out])
        if multilabel:
            for i, (classes, part) in enumerate(zip(trees.classes_, answer, strict=True)):
                scores[held_out, i] = part[:, 1] if len(classes) == 2 else classes[0]
        else:
            scores[held_out] = 0
            scores[np.ix_(held_out, trees.classes_)] = answer
    if np.isnan(scores).any():
        return Area(float("nan"), float("nan"), float("nan"))
    tested = learnable(dataset, rows)
    if dataset.task == "binary":
        tested[0] = False
    has, scores = has[:, tested], scores[:, tested]
    return macro_area(has, scores, by_appearance(group_codes(dataset)[rows]), seed=seed, resamples=resamples)
