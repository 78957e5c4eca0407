"""Real trainings that are killed at random moments, and resumed, end bit-identically."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from support import ROOT, TINY, Script, wait_until

# Augmentation, dropout, moving average, gradient accumulation, two phases, early stopping, balanced sampling.
TRAINING = (
    "data.patients=60", "data.size=32", "data.input.height=32", "data.batch_size=8", "data.sampling=balanced",
    "model.filters=[8,8]", "optimizer.use_ema=true", "optimizer.ema_momentum=0.9",
    "optimizer.gradient_accumulation_steps=2", "objective.metric=val_loss", "objective.mode=min",
    "finetuning=head_first", "finetuning.phases.all.batch_norm=train", "callbacks.early_stopping.patience=3",
    "trainer.max_epochs=20", "trainer.checkpoint_every=7 steps", "audit.probe=false",
)  # fmt: skip


def begin(outputs: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start scripts/train.py; it heeds signals, whatever started the tests."""

    def heed() -> None:
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "train.py"), *arguments, f"paths.outputs={outputs}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ), preexec_fn=heed,
    )  # fmt: skip


def folder_of(outputs: Path) -> Path:
    (folder,) = (outputs / "runs").iterdir()
    return folder


def said(outputs: Path, what: str) -> int:
    """How often the run's log says it."""
    return sum(len(re.findall(what, log.read_text())) for log in outputs.glob("runs/*/run.log"))


def wait_for(process: subprocess.Popen[str], outputs: Path, what: str, *, more_than: int = 0) -> None:
    """Wait until the log says it, or the process is over."""
    wait_until(lambda: process.poll() is not None or said(outputs, what) > more_than, seconds=300, what=what)


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open() as file:
        return [{name: value for name, value in row.items() if name != "epoch_seconds"} for row in csv.DictReader(file)]


def files_of(folder: Path) -> dict[str, bytes]:
    """What a training results in."""
    names = ("best.weights.h5", "predictions/val.csv", "predictions/test.csv")
    return {name: (folder / name).read_bytes() for name in names}


def steps_of(outputs: Path, name: str) -> list[int]:
    """The steps of a metric in the store, one entry for each point."""
    from medexp.tracking.store import open_client

    client = open_client(f"sqlite:///{outputs}/mlflow.db", create=False)
    return [point.step for point in client.get_metric_history(folder_of(outputs).name, name)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A training that nobody interrupts, and the seconds that an epoch takes."""
    outputs = tmp_path_factory.mktemp("whole")
    process = begin(outputs, *TRAINING)
    wait_for(process, outputs, "phase head")
    start = time.monotonic()
    wait_for(process, outputs, "agrees with Keras")
    seconds = time.monotonic() - start
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    folder = folder_of(outputs)
    return folder, seconds / len(history(folder))


def kill_and_resume(
    outputs: Path, *, epochs: Sequence[int], seed: int, seconds: float, at_the_end: bool = False
) -> None:
    """SIGKILL a training at a random moment after each of `epochs`, and resume it each time.

    Args:
        outputs: of the training.
        epochs: after which it is killed, from 0 (before the first is over).
        seed: of the moments.
        seconds: that an epoch takes.
        at_the_end: whether it is killed once more, when all is trained and it is writing its results.
    """
    draw = random.Random(seed)
    arguments: tuple[str, ...] = TRAINING
    for what in [*(rf"epoch +{n}/" if n else "phase " for n in epochs), *(["agrees with Keras"] if at_the_end else [])]:
        process = begin(outputs, *arguments)
        wait_for(process, outputs, what)
        if what != "agrees with Keras":  # what is left then may take no longer
            time.sleep(draw.uniform(0, 2 * seconds))
        process.send_signal(signal.SIGKILL)
        _, stderr = process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL, stderr
        arguments = (f"resume={folder_of(outputs).name}",)
    process = begin(outputs, *arguments)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr


def check(whole: Path, outputs: Path) -> None:
    parts = folder_of(outputs)
    assert history(parts) == history(whole)
    assert files_of(parts) == files_of(whole)
    epochs = len(history(whole))
    for name in ("loss", "val_auc", "learning_rate"):
        assert Counter(steps_of(outputs, name)) == Counter(range(1, epochs + 1)), name
    assert not (parts / "checkpoints").exists()


def test_three_kills_change_nothing(whole: tuple[Path, float], outputs: Path) -> None:
    folder, seconds = whole
    kill_and_resume(outputs, epochs=[0, 3, 7], seed=0, seconds=seconds)
    check(folder, outputs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_twenty_kills_change_nothing(seed: int, whole: tuple[Path, float], outputs: Path) -> None:
    folder, seconds = whole
    last = len(history(folder)) - 3
    epochs = sorted(random.Random(seed).sample(range(last), 4))
    kill_and_resume(outputs, epochs=epochs, seed=seed, seconds=seconds, at_the_end=seed == 1)
    check(folder, outputs)


# scripts/train.py, killed at the first audit event (of Python) of a kind once result.json is there.
KILLED = """
import os, runpy, signal, sys
outputs, moment, *sys.argv = sys.argv[1:]
seen = []
def watch(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith("result.json"):
        seen.append(event)
    elif seen and event == moment:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def killed_at_the_end(outputs: Path, moment: str) -> Path:
    """The folder of a training that was killed after its result and before its end."""
    arguments = [outputs, moment, ROOT / "scripts" / "train.py", *TINY, f"paths.outputs={outputs}"]
    command = [sys.executable, "-c", KILLED, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = folder_of(outputs)
    assert json.loads((folder / "result.json").read_text())["run_id"] == folder.name
    return folder


def check_closed(folder: Path) -> None:
    from medexp.tracking.store import open_client

    outputs = folder.parents[1]
    client = open_client(f"sqlite:///{outputs}/mlflow.db", create=False)
    run = client.get_run(folder.name)
    assert run.info.status == "FINISHED"
    assert {"result.json", "run.log", "config.yaml"} <= {file.path for file in client.list_artifacts(folder.name)}
    assert run.data.tags["medexp.model_id"].startswith("m-")
    assert steps_of(outputs, "loss") == [1, 2]
    assert steps_of(outputs, "test_auc") == [0]
    assert not (folder / "checkpoints").exists()
    assert not (folder / "outbox").exists()


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("shutil.rmtree", marks=pytest.mark.slow),  # before the checkpoints are removed
        pytest.param("open", marks=pytest.mark.slow),  # before anything else
    ],
)
def test_a_training_killed_between_its_result_and_its_end_is_closed_by_resuming_it(
    moment: str, outputs: Path, script: Script
) -> None:
    folder = killed_at_the_end(outputs, moment)
    before = (folder / "best.weights.h5").read_bytes(), (folder / "result.json").read_bytes()
    done = script("train", f"resume={folder.name}", f"paths.outputs={outputs}")
    assert done.returncode == 0, done.stderr
    assert "AUC" in done.stdout
    assert "phase" not in (folder / "run.log").read_text().partition("resumed by")[2], "nothing is trained again"
    assert ((folder / "best.weights.h5").read_bytes(), (folder / "result.json").read_bytes()) == before
    check_closed(folder)
    again = script("train", f"resume={folder.name}", f"paths.outputs={outputs}")
    assert (again.returncode, "the run is finished" in again.stderr) == (1, True)


@pytest.mark.slow
def test_a_training_killed_between_its_result_and_its_end_is_closed_by_the_command_that_sends(
    outputs: Path, script: Script
) -> None:
    folder = killed_at_the_end(outputs, "shutil.rmtree")
    done = script("sync", f"paths.outputs={outputs}")
    assert done.returncode == 0, done.stderr
    assert f"{folder.name}" in done.stdout
    check_closed(folder)
    assert "1 run had nothing to send" in script("sync", f"paths.outputs={outputs}").stdout


@pytest.mark.slow
def test_a_training_that_is_asked_to_stop_writes_a_checkpoint_and_goes_on_from_there(
    whole: tuple[Path, float], outputs: Path
) -> None:
    from medexp.tracking.store import open_client

    process = begin(outputs, *TRAINING, "trainer.checkpoint_every=1 epoch")
    wait_for(process, outputs, r"epoch +2/")
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - start < 10
    assert process.returncode == 143, stderr
    assert "Traceback" not in stderr
    folder = folder_of(outputs)
    assert f"resume={folder}" in stderr
    client = open_client(f"sqlite:///{outputs}/mlflow.db", create=False)
    assert client.get_run(folder.name).info.status == "KILLED"
    process = begin(outputs, f"resume={folder.name}")
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert client.get_run(folder.name).info.status == "FINISHED"
    check(whole[0], outputs)


# A network and images that take seconds for each: what is under way is native code, or another process.
BIG = (
    "data.patients=1500", "data.size=96", "data.input.height=96", "model=efficientnet", "model.weights=null",
    "trainer.max_epochs=1", "trainer.steps_per_epoch=2",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "moments",
    [["to decode"], ["split [0-9a-f]+", "epoch +1/1  loss"], ["Assets written"]],
    ids=["while images are decoded", "while it compiles, and while it evaluates", "while it exports"],
)
def test_a_run_that_is_asked_to_stop_in_any_stage_is_killed_in_time_and_can_be_resumed(
    moments: Sequence[str], outputs: Path
) -> None:
    from medexp.tracking.store import open_client

    arguments: tuple[str, ...] = BIG
    for what in moments:
        before = said(outputs, what)
        process = begin(outputs, *arguments)
        wait_for(process, outputs, what, more_than=before)
        time.sleep(2)  # a process of Python that is just being started says so on stderr when its parent ends
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=60)
        assert time.monotonic() - start < 10, what
        assert process.returncode == 143, stderr
        assert "Traceback" not in stderr
        folder = folder_of(outputs)
        client = open_client(f"sqlite:///{outputs}/mlflow.db", create=False)
        assert client.get_run(folder.name).info.status == "KILLED"
        arguments = (f"resume={folder}",)
    process = begin(outputs, *arguments)
    _, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr
    assert client.get_run(folder.name).info.status == "FINISHED"
    assert steps_of(outputs, "loss") == [1]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["phase all", r"epoch +2/"], ids=["while it compiles", "in an epoch"])
def test_a_second_ctrl_c_ends_a_training_at_once(what: str, outputs: Path) -> None:
    from medexp.tracking.store import open_client

    process = begin(outputs, *TINY, "trainer.max_epochs=5000", "callbacks=none")
    wait_for(process, outputs, what)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - start < 8
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    client = open_client(f"sqlite:///{outputs}/mlflow.db", create=False)
    assert client.get_run(folder_of(outputs).name).info.status == "KILLED"


def test_what_is_finished_is_not_resumed(whole: tuple[Path, float], script: Script) -> None:
    folder, _ = whole
    done = script("train", f"resume={folder}", f"paths.outputs={folder.parents[1]}")
    assert done.returncode == 1
    assert "the run is finished" in done.stderr
    assert "Traceback" not in done.stderr
