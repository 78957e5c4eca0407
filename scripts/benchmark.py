"""Measure what docs/benchmarks.md claims: ours, the reference, and the ratio, in one run.

python scripts/benchmark.py startup      --help, --cfg job and a config error against `import hydra`
python scripts/benchmark.py train        images/s against a bare keras.Model.fit, checkpoints, memory of ten trainings
python scripts/benchmark.py sweep        what a trial costs beside its training, two at once, pruning, 10,000 trials
python scripts/benchmark.py input        cache, feeding, stall and memory against bare loops and Keras' own input
python scripts/benchmark.py evaluation   intervals of all metrics, 2,000 bootstrap samples of 100,000 predictions
python scripts/benchmark.py engine       latency at batch 1 against model.predict and a tf.function, cold start, memory
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import benchmark_engine
import benchmark_evaluation
import benchmark_input
import benchmark_sweep
import benchmark_train

ROOT = Path(__file__).resolve().parents[1]
TRAIN = str(ROOT / "scripts" / "train.py")


def main() -> None:
    """Run one benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["startup", "train", "input", "sweep", "evaluation", "engine"])
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement, interleaved; the median counts")
    arguments = parser.parse_args()
    measurements = {
        "startup": startup,
        "train": train,
        "input": benchmark_input.measure,
        "sweep": benchmark_sweep.measure,
        "evaluation": benchmark_evaluation.measure,
        "engine": benchmark_engine.measure,
    }
    measurements[arguments.what](arguments.repeats)


def startup(repeats: int) -> None:
    """Seconds from the shell to the prompt; the claim is at most 1.5 x the reference + 0.5 s."""
    commands = {
        "import hydra (reference)": [sys.executable, "-c", "import hydra"],
        "train.py --help": [sys.executable, TRAIN, "--help"],
        "train.py --cfg job": [sys.executable, TRAIN, "--cfg", "job"],
        "train.py, a wrong value": [sys.executable, TRAIN, "trainer.max_epochs=many"],
        "train.py, a wrong key": [sys.executable, TRAIN, "trainer.max_epoch=3"],
    }
    measured = _interleaved({name: partial(_seconds, command) for name, command in commands.items()}, repeats)
    (_, reference), *ours = measured.items()
    allowed = 1.5 * reference + 0.5
    print(f"{'':28} {'seconds':>8} {'ratio':>7} {'allowed':>8}")
    print(f"{'import hydra (reference)':28} {reference:8.2f} {1:7.2f}")
    for name, seconds in ours:
        print(f"{name:28} {seconds:8.2f} {seconds / reference:7.2f} {allowed:8.2f}  {_verdict(seconds <= allowed)}")


def train(repeats: int) -> None:
    """Images/s against a bare fit, the cost of checkpoints, the memory of ten trainings."""
    benchmark_train.measure(repeats, _interleaved)


def _interleaved(measurements: dict[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """The median of each, measured in turns so that a slow minute of the machine meets all of them."""
    found: dict[str, list[float]] = {name: [] for name in measurements}
    for turn in range(repeats + 1):
        for name, measure in measurements.items():
            value = measure()
            if turn:  # the first turn fills the file cache
                found[name].append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def _seconds(command: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, cwd=ROOT)
    return time.perf_counter() - start


def _verdict(holds: bool) -> str:
    return "holds" if holds else "MISSED"


if __name__ == "__main__":
    main()
