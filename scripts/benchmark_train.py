"""What training costs beside the network: throughput, checkpoints, memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TRAIN = str(ROOT / "scripts" / "train.py")
SETTINGS = {
    "simple_cnn, 28 px": ("experiment=pneumonia_baseline", "trainer.max_epochs=6"),
    "efficientnet, 128 px": (
        "model=efficientnet", "data.size=128", "data.input.height=128", "data.patients=200", "data.batch_size=16",
        "trainer.max_epochs=10", "audit.probe=false",
    ),
}  # fmt: skip

COMPOSE = """
import json, sys, time
from pathlib import Path
from hydra import compose, initialize_config_dir
from medexp.config.load import load
from medexp.config.register import CONF, register
register()
with initialize_config_dir(str(CONF), version_base="1.3"):
    config = load(compose("train", overrides=sys.argv[1:]))
from medexp.config.instantiate import instantiate
from medexp.experiment import train as experiment
from medexp.experiment.data import data_module
from medexp.training import session
session.load_backend(config.runtime.backend, native_log=Path("/dev/null"))
import keras, numpy as np
"""
REFERENCE_FIT = (
    COMPOSE
    + """
session.reset(seed=config.seed, precision="float32", deterministic=config.runtime.deterministic)
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
size, epochs = config.data.batch_size, config.trainer["max_epochs"]
steps = -(-len(train[0]) // size)
model.compile(**module.compile_args(spec, network, total_steps=steps * epochs, steps_per_epoch=steps))
ends = []
clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
model.fit(*train, batch_size=size, epochs=epochs, verbose=0, validation_data=val, callbacks=[clock])
print(len(train[0]) / float(np.median(np.diff(ends))))
"""
)
CHECKPOINT = (
    COMPOSE
    + """
import statistics, tempfile
from medexp.training.checkpoint import Checkpoints
from medexp.training.state import Position, TrainingState, capture
data = data_module(config.data, seed=config.seed)
data.prepare()
spec = data.setup()
module = experiment.classifier_module(config)
network = module.build(spec)
network.compile(**module.compile_args(spec, network, total_steps=10, steps_per_epoch=10), run_eagerly=True)
network.train_on_batch(*data.train()[0])
with tempfile.TemporaryDirectory(dir=".") as folder:
    checkpoints, taken = Checkpoints(Path(folder)), []
    for step in range(6):
        start = time.perf_counter()
        path = checkpoints.write(TrainingState(Position(0, step), *capture(network, [])))
        taken.append(time.perf_counter() - start)
    print(path.stat().st_size / 2**20, statistics.median(taken[1:]))
"""
)
MEMORY = (
    COMPOSE
    + """
import psutil
used = []
for _ in range(10):
    experiment.train(config)
    used.append(psutil.Process().memory_info().rss / 2**20)
print(json.dumps(used))
"""
)
TINY = (
    "data.patients=60", "data.size=32", "data.input.height=32", "trainer.max_epochs=3", "audit.probe=false",
    "logger=none", "runtime.console_level=ERROR",
)  # fmt: skip


def measure(repeats: int, interleaved: Callable[[dict[str, Callable[[], float]], int], dict[str, float]]) -> None:
    """Print images/s against a bare fit, the cost of a checkpoint a minute, and what ten trainings leave in memory."""
    print(f"{'':48} {'images/s':>9} {'ratio':>7}")
    for name, arguments in SETTINGS.items():
        found = interleaved({"ours": partial(_our_rate, arguments), "bare": partial(_bare_rate, arguments)}, repeats)
        ratio = found["ours"] / found["bare"]
        print(f"{'keras.Model.fit on arrays, ' + name:48} {found['bare']:9.0f} {1:7.2f}")
        print(f"{'scripts/train.py, ' + name:48} {found['ours']:9.0f} {ratio:7.2f}  {_verdict(ratio >= 0.97)}")
    print(f"\n{'a checkpoint a minute':48} {'MiB':>9} {'seconds':>8} {'cost':>7}")
    for name, arguments in SETTINGS.items():
        size, seconds = map(float, _python(CHECKPOINT, arguments).split()[-2:])
        print(f"{name:48} {size:9.1f} {seconds:8.3f} {seconds / 60:7.2%}  {_verdict(seconds / 60 < 0.02)}")
    with tempfile.TemporaryDirectory() as outputs:
        used = json.loads(_python(MEMORY, (*TINY, f"paths.outputs={outputs}")).splitlines()[-1])
    growth = used[-1] / used[1] - 1
    print(f"\nresident after each of ten trainings in one process, MiB: {', '.join(f'{mib:.0f}' for mib in used)}")
    print(f"{'growth after the second':48} {growth:17.1%}  {_verdict(growth < 0.05)}")


def _our_rate(arguments: tuple[str, ...]) -> float:
    """Of the median epoch after the first, which compiles; with validation, best weights, checkpoints, log, MLflow."""
    with tempfile.TemporaryDirectory() as outputs:
        command = [sys.executable, TRAIN, *arguments, "evaluation=quick", f"paths.outputs={outputs}"]
        subprocess.run(command, check=True, capture_output=True)
        (folder,) = Path(outputs).glob("runs/*")
        entries = map(json.loads, (folder / "tracking.jsonl").read_text().splitlines())
        result = json.loads((folder / "result.json").read_text())
        ends = [e["time"] for e in entries if e["kind"] == "metrics" and "val_loss" in e["metrics"]]
        epochs = [(end - start) / 1000 for start, end in pairwise(ends)]
        return float(result["data"]["images"]["train"] / statistics.median(epochs))


def _bare_rate(arguments: tuple[str, ...]) -> float:
    with tempfile.TemporaryDirectory() as outputs:
        return float(_python(REFERENCE_FIT, (*arguments, f"paths.outputs={outputs}")).split()[-1])


def _python(program: str, arguments: tuple[str, ...]) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ)).stdout


def _verdict(holds: bool) -> str:
    return "holds" if holds else "MISSED"
