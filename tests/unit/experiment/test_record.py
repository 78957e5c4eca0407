"""What a run records before it trains is whole after a kill at any moment."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir

from medexp.config.flatten import flatten
from medexp.config.load import load
from medexp.config.register import CONF, register
from medexp.config.saved import load_saved
from medexp.config.schema import TrainConfig
from medexp.errors import ConfigError
from medexp.experiment.record import record
from medexp.experiment.resumed import record_resume, refuse_finished
from medexp.tracking.delivery import sent_path
from medexp.tracking.entry import FILES, Entry
from medexp.tracking.journal import JOURNAL, Journal
from medexp.tracking.null_tracker import NullTracker

STEPS = 6  # writes of `record` to the journal, and of files


@pytest.fixture(scope="module", autouse=True)
def _hydra() -> Iterator[None]:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def configured(outputs: Path) -> TrainConfig:
    return load(compose("train", overrides=[f"paths.outputs={outputs}", "logger=none"]))


def record_and_be_killed(config: TrainConfig, outputs: Path, moment: int) -> None:
    """SIGKILL this process before `record` writes for the `moment`th time after config.yaml."""
    count = 0

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        if event == "call" and frame.f_code.co_name in ("append", "write_whole"):
            count += 1
            if count == moment + 2:
                os.kill(os.getpid(), signal.SIGKILL)

    with NullTracker().start("x", below=outputs / "runs") as run:
        sys.setprofile(watch)
        record(config, run, run.folder)
    os._exit(0)


@pytest.mark.parametrize("moment", range(STEPS))
def test_a_run_killed_while_it_records_how_it_began_is_whole_when_it_was_resumed(moment: int, tmp_path: Path) -> None:
    config = configured(tmp_path)
    process = multiprocessing.get_context("fork").Process(target=record_and_be_killed, args=(config, tmp_path, moment))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    (folder,) = (tmp_path / "runs").iterdir()
    with NullTracker().resume(folder) as run:
        record_resume(load_saved(folder, compose("train"), overrides=[]), run, folder)
    journal = Journal(folder)
    assert set(journal.params) == set(flatten(config))
    entries = [Entry.parse(line) for line in (folder / JOURNAL).read_bytes().splitlines()]
    files = [path for entry in entries if entry.kind == FILES and (path := sent_path(entry, folder)) is not None]
    assert {"config.yaml", "environment.json"} <= {path.name for path in files}
    assert all(path.is_file() for path in files)
    tags = {key for entry in entries for key in entry.data.get("tags", ())}
    assert {"medexp.seed", "medexp.host", "medexp.version.keras"} <= tags


def test_which_run_a_command_goes_on_with_is_no_parameter(tmp_path: Path) -> None:
    config = configured(tmp_path)
    with NullTracker().start("x", below=tmp_path / "runs") as run:
        record(config, run, run.folder)
    assert "resume" not in Journal(run.folder).params
    saved = yaml.safe_load((run.folder / "config.yaml").read_text())
    assert "resume" not in saved
    (run.folder / "config.yaml").write_text(yaml.safe_dump({**saved, "resume": None}))  # as it was written before
    assert load_saved(run.folder, compose("train"), overrides=[]) == config.model_copy(update={"search": None})


def test_a_run_is_finished_when_its_journal_says_so(tmp_path: Path) -> None:
    with pytest.raises(SystemExit), NullTracker().start("x", below=tmp_path) as run:
        raise SystemExit(143)
    (run.folder / "result.json").write_text("{}")
    refuse_finished(run.folder)
    with NullTracker().resume(run.folder):
        refuse_finished(run.folder)
    with pytest.raises(ConfigError, match=f"python scripts/reproduce.py {run.id}"):
        refuse_finished(run.folder)
