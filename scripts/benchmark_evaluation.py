"""The measurements of `benchmark.py evaluation`: intervals of all metrics, against a loop of scikit-learn's."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGES, RESAMPLES, ALLOWED = 100_000, 2_000, 5.0

COMMON = f"""
import sys, time
import numpy as np
IMAGES, RESAMPLES = {IMAGES}, {RESAMPLES}
rng = np.random.default_rng(0)
labels = (rng.random(IMAGES) < 0.3).astype(int)
scores = (1 / (1 + np.exp(-(rng.normal(size=IMAGES) + 2 * labels - 1.8)))).astype(np.float32)
"""

OURS = """
import scipy.stats, sklearn.metrics
from medexp.evaluation.intervals import metric_estimates
from medexp.evaluation.predictions import Predictions
keys, rows = tuple(map(str, range(IMAGES))), np.stack([1 - scores, scores], axis=1)
groups = tuple(f"p{i // 3}" for i in range(IMAGES)) if sys.argv[1] == "groups" else None
predictions = Predictions("test", keys, labels, rows, ("no", "yes"), "binary", groups)
start, busy = time.perf_counter(), time.process_time()
found = metric_estimates(predictions, thresholds={"yes": 0.3}, resamples=RESAMPLES, confidence=0.95)
print(len(found), time.perf_counter() - start, time.process_time() - busy)
"""

REFERENCE = """
from sklearn import metrics as sk
decided = scores >= 0.3
clocks = lambda: (time.perf_counter(), time.process_time())
start = clocks()
for _ in range(4):
    rows = rng.integers(0, IMAGES, IMAGES)
    truth, score, called = labels[rows], scores[rows].astype(float), decided[rows]
    for metric in (sk.roc_auc_score, sk.average_precision_score, sk.brier_score_loss, sk.log_loss):
        metric(truth, score)
    for metric in (sk.accuracy_score, sk.balanced_accuracy_score, sk.f1_score, sk.matthews_corrcoef, sk.recall_score,
                   sk.precision_score, sk.cohen_kappa_score):
        metric(truth, called)
    sk.recall_score(truth, called, pos_label=0)
    sk.precision_score(truth, called, pos_label=0)
print(13, *((then - now) / 4 * RESAMPLES for now, then in zip(start, clocks(), strict=True)))
"""


def measure(repeats: int) -> None:
    """Print the claim of `docs/benchmarks.md` about intervals: all metrics in 5 seconds."""
    scripts = {"by image": (OURS, "images"), "by group": (OURS, "groups"), "scikit-learn": (REFERENCE, "")}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in scripts}
    for _ in range(repeats):
        for name, (script, argument) in scripts.items():
            found[name].append(_seconds(script, argument))
    wall, busy = ({name: statistics.median(row[i] for row in rows) for name, rows in found.items()} for i in (0, 1))
    head = f"{RESAMPLES:,} resamples of {IMAGES:,} binary predictions, seconds"
    print(f"{head:60} {'wall':>8} {'of processors':>14} {'allowed':>8}")
    for name, title in (("by image", "13 metrics with intervals, within each class"), ("by group", "by patient")):
        verdict = "holds" if wall[name] <= ALLOWED else "MISSED"
        print(f"{title:60} {wall[name]:8.2f} {busy[name]:14.2f} {ALLOWED:8.2f}  {verdict}")
    title = "scikit-learn, one metric after the other (of 4 samples)"
    print(f"{title:60} {wall['scikit-learn']:8.0f} {busy['scikit-learn']:14.0f}")


def _seconds(script: str, argument: str) -> tuple[float, float]:
    """By the clock, and of all processors together: the second does not grow where others use them too."""
    command = [sys.executable, "-c", COMMON + script, argument]
    out = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    metrics, wall, busy = out.split()
    assert metrics == "13"
    return float(wall), float(busy)
