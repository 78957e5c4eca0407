"""Latency and cold start of the engines, against `model.predict` and a `tf.function`.

Each network is exported as at the end of a training, with weights drawn at random: speed does not depend on them. Every
measurement runs in a process of its own, and rounds are interleaved, so that a slow minute of the machine meets all.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = ("mobilenet", "efficientnet", "resnet50")
SIDE = 224
TIMES, SECONDS_ALLOWED, MEGABYTES_ALLOWED = 5, 1.0, 250.0

EXPORT = """
import sys
from pathlib import Path
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from medexp.config.instantiate import instantiate
from medexp.config.register import CONF, register
register()
name, side, bundle = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
with initialize_config_dir(str(CONF), version_base="1.3"):
    composed = compose("train", overrides=[f"model={name}"])
node, engines = OmegaConf.to_container(composed.model, resolve=True), list(composed.evaluation.engines)
import keras, numpy as np
from medexp.decision.conformal import Conformal
from medexp.decision.operating_point import OperatingPoint
from medexp.evaluation.abstention.feature_space import fit_feature_space
from medexp.models.class_probabilities import class_probabilities
from medexp.models.serving import serving_model
from medexp.registry.export import export_bundle
from medexp.types import Calibration, DataSpec, InputSpec
data = DataSpec("noise", "binary", ("no", "yes"), InputSpec(side, side, 3), {}, "", "drawn", synthetic=True)
keras.utils.set_random_seed(0)
network = instantiate("model", node)(data)
images = np.random.default_rng(0).integers(0, 256, (8, side, side, 3), np.uint8)
features = np.random.default_rng(1).normal(size=(100, network.get_layer("pool").output.shape[-1]))
export_bundle(
    class_probabilities(network, task="binary"), bundle, serving=serving_model(network, task="binary"),
    run_id="0" * 32, name=name, data=data, calibration=Calibration("none"), metrics={}, facts={}, engines=engines,
    operating_point=OperatingPoint("youden", {}), conformal=Conformal(0.9, {"no": 0.1, "yes": 0.1}),
    feature_space=fit_feature_space(features[:50], features[50:], false_refusal=0.05),
    check_on=images, golden=images[:2], native_log=bundle.parent / "export.log",
)
"""

KERAS = """
import json, statistics, sys, time
import numpy as np, keras, tensorflow as tf
model = keras.saving.load_model(sys.argv[1] + "/model.keras", compile=False)
image = np.random.default_rng(0).integers(0, 256, (1, *model.input_shape[1:])).astype(np.float32)
graph = tf.function(lambda x: model(x, training=False), jit_compile=False)
tensor = tf.constant(image)
def measure(run, count):
    run(); run(); taken = []
    for _ in range(count):
        start = time.perf_counter(); run(); taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)
print(json.dumps({"predict": measure(lambda: model.predict(image, verbose=0), 15),
                  "tf.function": measure(lambda: graph(tensor).numpy(), 30)}))
"""

ENGINE = """
import json, statistics, sys, time
from pathlib import Path
import numpy as np
from medexp.registry.bundle import Bundle
bundle = Bundle.open(Path(sys.argv[1]), engine=sys.argv[2])
image = np.random.default_rng(0).integers(0, 256, (1, *bundle.passport.input.shape), np.uint8)
def measure(run, count):
    run(); run(); taken = []
    for _ in range(count):
        start = time.perf_counter(); run(); taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)
print(json.dumps({"ms": measure(lambda: bundle.outputs(image), 30)}))
"""

COLD = """
import time
start = time.perf_counter()
import json, resource, sys
from pathlib import Path
import numpy as np
what, kind, path = sys.argv[1:4]
if what == "bundle":
    from medexp.registry.bundle import Bundle
    run = Bundle.open(Path(path).parent, engine=kind).outputs
else:
    from medexp.registry.engine.open import open_engine
    run = open_engine(kind, Path(path))
run(np.zeros((1, *json.loads(sys.argv[4])), np.uint8))
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def measure(repeats: int) -> None:
    """Print the tables, and whether what docs/benchmarks.md claims holds."""
    with tempfile.TemporaryDirectory(prefix="medexp-engines-") as temporary:
        bundles = {name: _exported(name, Path(temporary) / name) for name in NETWORKS}
        print(f"batch 1, {SIDE} px, milliseconds (median of {repeats} processes)")
        print(f"{'':14} {'predict':>9} {'tf.function':>12} {'chosen':>24} {'x predict':>10} {'x tf.function':>14}")
        for name, bundle in bundles.items():
            _latency(name, bundle, repeats)
        print(f"\ncold start: import to first prediction, and the most memory held (median of {repeats})")
        for name, bundle in bundles.items():
            _cold(name, bundle, repeats)


def _exported(name: str, folder: Path) -> Path:
    """Export a network in a process of its own; say how its engines were found."""
    bundle = folder / "bundle"
    folder.mkdir(parents=True)
    _run(EXPORT, name, str(SIDE), str(bundle))
    for engine in _engines(bundle):
        said = f"agrees, ms by batch: {engine['milliseconds']}" if engine["agrees"] else engine["why_not"]
        print(f"{name:14} {engine['kind']:12} {said}")
    return bundle


def _latency(name: str, bundle: Path, repeats: int) -> None:
    chosen = str(_engines(bundle)[0]["kind"])
    found: dict[str, list[float]] = {"predict": [], "tf.function": [], "chosen": []}
    for _ in range(repeats):
        reference = _run(KERAS, str(bundle))
        found["predict"].append(reference["predict"])
        found["tf.function"].append(reference["tf.function"])
        found["chosen"].append(_run(ENGINE, str(bundle), chosen)["ms"])
    ms = {key: statistics.median(values) for key, values in found.items()}
    faster, graph = ms["predict"] / ms["chosen"], ms["tf.function"] / ms["chosen"]
    verdict = "holds" if faster >= TIMES and graph >= 1 else "MISSED"
    print(
        f"{name:14} {ms['predict']:9.1f} {ms['tf.function']:12.1f} {chosen:>14} {ms['chosen']:9.1f} {faster:10.1f} "
        f"{graph:14.1f}  {verdict}"
    )


def _cold(name: str, bundle: Path, repeats: int) -> None:
    passport = json.loads((bundle / "passport.json").read_text())
    shape = json.dumps([passport["input"][key] for key in ("height", "width", "channels")])
    for place, engine in enumerate(entry for entry in passport["engines"] if entry["agrees"]):
        seconds, megabytes = _started("engine", engine, bundle, shape, repeats)
        whole, most = _started("bundle", engine, bundle, shape, repeats)
        holds = seconds < SECONDS_ALLOWED and megabytes < MEGABYTES_ALLOWED
        verdict = ("holds" if holds else "MISSED") if place == 0 else ""
        print(
            f"{name:14} {engine['kind']:12} engine {seconds:5.2f} s {megabytes:5.0f} MB   "
            f"bundle, all files verified {whole:5.2f} s {most:5.0f} MB  {verdict}"
        )


def _started(what: str, engine: Mapping[str, object], bundle: Path, shape: str, repeats: int) -> tuple[float, float]:
    arguments = (what, str(engine["kind"]), str(bundle / str(engine["file"])), shape)
    runs = [_run(COLD, *arguments) for _ in range(repeats)]
    return statistics.median(run["seconds"] for run in runs), statistics.median(run["megabytes"] for run in runs)


def _engines(bundle: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((bundle / "passport.json").read_text())["engines"]
    return found


def _run(code: str, *arguments: str) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if run.returncode:
        raise SystemExit(run.stderr)
    last = run.stdout.strip().splitlines()[-1] if run.stdout.strip() else "{}"
    return dict(json.loads(last))
