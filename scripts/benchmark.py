"""Measure what docs/benchmarks.md claims: ours, the reference, and the ratio, in one run.

python scripts/benchmark.py startup      --help, --cfg job and a config error against `import hydra`
python scripts/benchmark.py train        images/s of a whole training against a bare keras.Model.fit
python scripts/benchmark.py input        cache, feeding, stall and memory against bare loops and Keras' own input
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import benchmark_input

ROOT = Path(__file__).resolve().parents[1]
TRAIN = str(ROOT / "scripts" / "train.py")
EXPERIMENT = ("experiment=pneumonia_baseline", "trainer.max_epochs=3", "callbacks=default")

REFERENCE_FIT = """
import sys, time
from pathlib import Path
from hydra import compose, initialize_config_dir
from medexp.config.load import load
from medexp.config.register import CONF, register
register()
with initialize_config_dir(str(CONF), version_base="1.3"):
    config = load(compose("train", overrides=sys.argv[1:]))
from medexp.experiment import train as experiment
from medexp.experiment.data import data_module
from medexp.config.instantiate import instantiate
from medexp.training import session
session.load_backend(config.runtime.backend, native_log=Path("/dev/null"))
import keras, numpy as np
session.reset(seed=config.seed, precision="float32")
data = data_module(config.data, seed=config.seed)
data.prepare()
spec = data.setup()
module = experiment.classifier_module(config)
network = module.build(spec)
x = image = keras.Input(spec.input.shape)
for layer in instantiate("augmentation", config.augmentation):
    x = layer(x)
model = keras.Model(image, network(x))
train, val = (
    (data.images(split), data.examples(split).labels[:, None].astype("float32")) for split in ("train", "val")
)
steps = -(-len(train[0]) // config.data.batch_size) * config.trainer["max_epochs"]
model.compile(**module.compile_args(spec, steps), jit_compile=False)
start = time.perf_counter()
model.fit(
    *train, batch_size=config.data.batch_size, epochs=config.trainer["max_epochs"], verbose=0, validation_data=val,
)
print(len(train[0]) * config.trainer["max_epochs"] / (time.perf_counter() - start))
"""


def main() -> None:
    """Run one benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["startup", "train", "input"])
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement, interleaved; the median counts")
    arguments = parser.parse_args()
    {"startup": startup, "train": train, "input": benchmark_input.measure}[arguments.what](arguments.repeats)


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
    """Images/s of fitting simple_cnn on PneumoniaMNIST, 3 epochs; the claim is at least 0.95 of a bare fit."""
    measured = _interleaved({"ours": _our_rate, "bare fit": _reference_rate}, repeats)
    ratio = measured["ours"] / measured["bare fit"]
    print(f"{'':44} {'images/s':>9} {'ratio':>7}")
    print(f"{'keras.Model.fit on arrays (reference)':44} {measured['bare fit']:9.0f} {1:7.2f}")
    name = "scripts/train.py, logging and callbacks on"
    print(f"{name:44} {measured['ours']:9.0f} {ratio:7.2f}  {_verdict(ratio >= 0.95)}")


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


def _our_rate() -> float:
    with tempfile.TemporaryDirectory() as outputs:
        command = [sys.executable, TRAIN, *EXPERIMENT, f"paths.outputs={outputs}"]
        subprocess.run(command, check=True, capture_output=True)
        (path,) = Path(outputs).glob("runs/*/result.json")
        result = json.loads(path.read_text())
    return float(sum(result["data"]["counts"]["train"].values()) * result["epochs"] / result["seconds"])


def _reference_rate() -> float:
    command = [sys.executable, "-c", REFERENCE_FIT, *EXPERIMENT]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ))
    return float(done.stdout.split()[-1])


def _verdict(holds: bool) -> str:
    return "holds" if holds else "MISSED"


if __name__ == "__main__":
    main()
