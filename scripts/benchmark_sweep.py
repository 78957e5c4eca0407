"""What a sweep costs beside its trainings, and what pruning saves."""

from __future__ import annotations

import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmark_train import COMPOSE, ROOT, TRAIN

DATA = ("experiment=pneumonia_baseline", "audit.probe=false")
TRIALS = 12
SHORT = ("trainer.max_epochs=3", "search=optuna", "search.sampler=random", "search.pruner=none")
RATES = "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))"
BARE_FITS = (
    COMPOSE
    + """
data = data_module(config.data, seed=config.seed)
data.prepare()
spec = data.setup()
arrays = {s: (data.images(s), data.examples(s).labels[:, None].astype("float32")) for s in ("train", "val")}
size, epochs = config.data.batch_size, config.trainer["max_epochs"]
steps = -(-len(arrays["train"][0]) // size)
total = 0.0
for trial in range(TRIALS):
    session.reset(seed=config.seed, precision="float32", deterministic=config.runtime.deterministic)
    start = time.perf_counter()
    module = experiment.classifier_module(config)
    network = module.build(spec)
    x = image = keras.Input(spec.input.shape)
    for layer in instantiate("augmentation", config.augmentation):
        x = layer(x)
    model = keras.Model(image, network(x))
    model.compile(**module.compile_args(spec, network, total_steps=steps * epochs, steps_per_epoch=steps))
    model.fit(*arrays["train"], batch_size=size, epochs=epochs, verbose=0, validation_data=arrays["val"])
    total += time.perf_counter() - start
print(total)
"""
)
IMPORT = "import time; start = time.perf_counter(); import tensorflow, keras; print(time.perf_counter() - start)"
FINISHED = 10_000
LARGE = """
import random, sys, time
from datetime import datetime
from functools import partial
from pathlib import Path
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState
from medexp.sweep.leaderboard import Leaderboard, print_leaderboard
from medexp.sweep.plan import Plan
from medexp.sweep.samplers import sampler
from medexp.sweep.space import Choice, Interval, Space
from medexp.sweep.study import SharedStudy
from medexp.types import Objective
count, folder, storage = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
policies = ("none", "light", "strong")
space = Space((Interval("optimizer.learning_rate", 1e-5, 1e-1, log=True), Choice("data.aug", policies)))
objectives = (Objective("val_auc", "max"),)
plan = Plan("large", storage, objectives, space, "tpe", {}, "none", {}, count + 10, 0, 2, {}, folder)
make = partial(sampler, "tpe", {}, seed=0, space=space)
study = SharedStudy.open(plan, make_sampler=lambda index: make(index=index))
numbers = random.Random(0)
distributions = {p.name: p.distribution for p in space.parameters}
for _ in range(count):
    params = {"optimizer.learning_rate": 10 ** numbers.uniform(-5, -1), "data.aug": numbers.choice(policies)}
    facts = {"overrides": [f"{key}={value}" for key, value in params.items()], "run_id": "0" * 32, "epochs": 10}
    study.storage.create_new_trial(study._study_id, FrozenTrial(
        number=-1, trial_id=-1, state=TrialState.COMPLETE, value=numbers.random(), datetime_start=datetime.now(),
        datetime_complete=datetime.now(), params=params, distributions=distributions, user_attrs=facts, system_attrs={},
        intermediate_values={epoch: numbers.random() for epoch in range(10)}))
study.ask()
start = time.perf_counter(); study.ask(); ask = time.perf_counter() - start
cold = SharedStudy.open(plan, make_sampler=lambda index: make(index=index))
start = time.perf_counter()
print_leaderboard(Leaderboard.of_records(cold.records(), plan.objectives))
print(ask, time.perf_counter() - start)
"""


def measure(repeats: int) -> None:
    """Print the four claims of `docs/benchmarks.md` about sweeps."""
    _wall(repeats)
    _store()
    _pruning()


def _wall(repeats: int) -> None:
    """Twelve trials against twelve bare fits, and two at once against one after the other."""
    found: dict[str, list[float]] = {"bare": [], "ours": [], "overhead": [], "one core": [], "two cores": []}
    for _ in range(repeats):
        found["bare"].append(_bare())
        wall, overhead = _sweep()
        found["ours"].append(wall)
        found["overhead"].append(overhead)
        found["one core"].append(_sweep(pinned=True)[0])
        found["two cores"].append(_sweep("search.n_jobs=2")[0])
    imports = statistics.median(float(_python(IMPORT)) for _ in range(3))
    median = {name: statistics.median(values) for name, values in found.items()}
    print(f"{'12 trials of simple_cnn on PneumoniaMNIST, 3 epochs':64} {'seconds':>8} {'ratio':>7}")
    print(f"{'12 bare fits in one process, without its start':64} {median['bare']:8.1f} {1:7.2f}")
    ratio = median["ours"] / median["bare"]
    print(f"{'train.py -m, all of it':64} {median['ours']:8.1f} {ratio:7.2f}  {_verdict(ratio <= 1.15)}")
    print(f"{'train.py -m on one core':64} {median['one core']:8.1f} {1:7.2f}")
    gain = median["one core"] / median["two cores"]
    print(f"{'train.py -m search.n_jobs=2':64} {median['two cores']:8.1f} {gain:7.2f}  {_verdict(gain >= 1.5)}")
    allowed = imports + 3
    print(f"{'a trial outside its fit (each is a fresh process)':64} {median['overhead']:8.2f}")
    print(f"{'  allowed in a fresh process: import of TensorFlow + 3 s':64} {allowed:8.2f}", end="")
    print(f"{'':8}  {_verdict(median['overhead'] <= allowed)}")
    print(f"{'  asked of one in the same process':64} {1:8.2f}{'':8}  {_verdict(median['overhead'] <= 1)}")


def _store() -> None:
    """A study of ten thousand trials: the next one, and the table."""
    print(f"\n{f'a study of {FINISHED:,} finished trials':64} {'seconds':>8} {'allowed':>8}")
    for name, url in (("journal file", "{}/study.journal"), ("SQLite", "sqlite:///{}/study.db")):
        with tempfile.TemporaryDirectory() as folder:
            ask, table = map(float, _python(LARGE, str(FINISHED), folder, url.format(folder)).split()[-2:])
        print(f"{f'ask TPE for the next, {name}':64} {ask:8.2f} {1:8.2f}  {_verdict(ask < 1)}")
        print(f"{f'read all, sort, print the table, {name}':64} {table:8.2f} {3:8.2f}  {_verdict(table < 3)}")


def _pruning() -> None:
    """Epochs that a search trains, and the best that it finds, with and without a pruner; three study seeds."""
    epochs: dict[str, list[float]] = {"none": [], "median": []}
    best: dict[str, list[float]] = {"none": [], "median": []}
    for seed in range(3):
        for name in epochs:
            with tempfile.TemporaryDirectory() as outputs:
                command = [
                    sys.executable, TRAIN, "-m", *DATA, "search=optuna", f"search.pruner={name}", "search.n_trials=24",
                    f"search.seed={seed}", "trainer.max_epochs=10", "search.n_jobs=2", f"paths.outputs={outputs}",
                ]  # fmt: skip
                subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
                (table,) = Path(outputs).glob("sweeps/*/trials.csv")
                with table.open() as file:
                    rows = list(csv.DictReader(file))
                epochs[name].append(sum(int(row["epochs"]) for row in rows))
                best[name].append(max(float(row["val_auc"]) for row in rows if row["state"] == "complete"))
                print(
                    f"  seed {seed}, {name}: {epochs[name][-1]} epochs, best val_auc {best[name][-1]:.4f}", flush=True
                )
    saved = 1 - sum(epochs["median"]) / sum(epochs["none"])
    lost = statistics.fmean(best["none"]) - statistics.fmean(best["median"])
    print(f"\n{'24 trials of 10 epochs, mean of 3 study seeds':64} {'epochs':>8} {'best':>8}")
    for name in epochs:
        print(f"{f'search.pruner={name}':64} {statistics.fmean(epochs[name]):8.0f} {statistics.fmean(best[name]):8.4f}")
    print(f"{'epochs saved':64} {saved:8.1%}{'':8}   {_verdict(saved >= 0.4)}")
    print(f"{'best val_auc lost':64} {'':8} {lost:8.4f}  {_verdict(lost <= 0.003)}")


def _sweep(*more: str, pinned: bool = False) -> tuple[float, float]:
    """Seconds of the command, and seconds that a trial spends outside its fit."""
    with tempfile.TemporaryDirectory() as outputs:
        command = [sys.executable, TRAIN, "-m", *DATA, *SHORT, RATES, f"search.n_trials={TRIALS}", *more]
        prefix = ["taskset", "-c", "0"] if pinned else []
        start = time.perf_counter()
        subprocess.run([*prefix, *command, f"paths.outputs={outputs}"], check=True, capture_output=True, cwd=ROOT)
        wall = time.perf_counter() - start
        fits = [json.loads(path.read_text())["seconds"] for path in Path(outputs).glob("runs/*/result.json")]
        assert len(fits) == TRIALS
        (journal,) = Path(outputs).glob("sweeps/*/study.journal")
        return wall, (_span(journal) - sum(fits)) / TRIALS


def _span(journal: Path) -> float:
    """Seconds from the start of the first trial to the end of the last."""
    program = (
        "import optuna, sys; from medexp.sweep.storage import open_storage\n"
        "storage = open_storage(sys.argv[1])\n"
        "trials = storage.get_all_trials(storage.get_all_studies()[0]._study_id)\n"
        "print((max(t.datetime_complete for t in trials) - min(t.datetime_start for t in trials)).total_seconds())"
    )
    return float(_python(program, str(journal)).split()[-1])


def _bare() -> float:
    with tempfile.TemporaryDirectory() as outputs:
        program = BARE_FITS.replace("TRIALS", str(TRIALS))
        return float(_python(program, *DATA, "trainer.max_epochs=3", f"paths.outputs={outputs}").split()[-1])


def _python(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ)).stdout


def _verdict(holds: bool) -> str:
    return "holds" if holds else "MISSED"
