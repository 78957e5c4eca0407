from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from medexp.logs import CONSOLE, FILE, FILE_ONLY, native_stderr_to, run_log, show_on_console

OURS, OTHERS = logging.getLogger("medexp.somewhere"), logging.getLogger("library.somewhere")


@pytest.fixture(autouse=True)
def _restored_root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def handlers(name: str) -> list[logging.Handler]:
    return [handler for handler in logging.getLogger().handlers if handler.get_name() == name]


def test_there_is_one_console_handler_however_often_it_is_asked_for(tmp_path: Path) -> None:
    for number in range(3):
        show_on_console("INFO")
        with run_log(tmp_path / f"{number}.log", run_id="r"):
            pass
    assert len(handlers(CONSOLE)) == 1


def test_a_record_is_shown_once_after_several_executions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        with run_log(tmp_path / f"{number}.log", run_id="r"):
            pass
    OURS.warning("only once")
    assert capsys.readouterr().err.count("only once") == 1


def test_a_file_handler_ends_with_its_execution(tmp_path: Path) -> None:
    with run_log(tmp_path / "run.log", run_id="r"):
        assert len(handlers(FILE)) == 1
    OURS.error("too late")
    assert handlers(FILE) == []
    assert "too late" not in (tmp_path / "run.log").read_text()


def test_a_file_handler_ends_when_the_execution_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), run_log(tmp_path / "run.log", run_id="r"):
        raise ZeroDivisionError
    assert handlers(FILE) == []


def test_the_level_of_the_root_logger_is_given_back(tmp_path: Path) -> None:
    logging.getLogger().setLevel(logging.CRITICAL)
    with run_log(tmp_path / "run.log", run_id="r"):
        pass
    assert logging.getLogger().level == logging.CRITICAL


def test_the_file_has_the_records_of_all_modules_with_the_run_id(tmp_path: Path) -> None:
    with run_log(tmp_path / "run.log", run_id="abc123"):
        OURS.info("from us")
        OTHERS.info("from them")
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert [line.partition(" INFO ")[2] for line in lines] == [
        "abc123 medexp.somewhere: from us",
        "abc123 library.somewhere: from them",
    ]


def test_the_file_has_warnings(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with run_log(tmp_path / "run.log", run_id="r"):
            warnings.warn("deprecated thing", UserWarning, stacklevel=1)
    assert "UserWarning: deprecated thing" in (tmp_path / "run.log").read_text()


def test_warnings_are_captured_until_the_outermost_log_ends(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with run_log(tmp_path / "outer.log", run_id="outer"):
            with run_log(tmp_path / "inner.log", run_id="inner"):
                pass
            warnings.warn("after the inner one", UserWarning, stacklevel=1)
    assert "after the inner one" in (tmp_path / "outer.log").read_text()


def test_the_file_has_everything_whatever_the_console_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with run_log(tmp_path / "run.log", run_id="r", console_level="ERROR"):
        OURS.info("quiet")
    assert "quiet" in (tmp_path / "run.log").read_text()
    assert "quiet" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("logger", "level", "shown"),
    [
        (OURS, logging.INFO, True),
        (logging.getLogger("hydra_plugins.medexp_sweeper._results"), logging.INFO, True),  # mean and deviation of folds
        (OTHERS, logging.WARNING, False),
        (OTHERS, logging.ERROR, True),
    ],
)
def test_the_console_shows_our_records_and_the_errors_of_others(
    logger: logging.Logger, level: int, shown: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with run_log(tmp_path / "run.log", run_id="r"):
        logger.log(level, "look here")
    assert ("look here" in capsys.readouterr().err) is shown


def test_the_console_shows_no_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a job of a sweep prints stays in a file."""
    with run_log(tmp_path / "run.log", run_id="r"):
        OURS.warning("the storage is away: postgresql://user:s3cret@host/database")
    assert "postgresql://user:***@host/database" in capsys.readouterr().err


def test_a_file_only_record_stays_off_the_console(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with run_log(tmp_path / "run.log", run_id="r"):
        OURS.error("long traceback", extra=FILE_ONLY)
    assert "long traceback" not in capsys.readouterr().err
    assert "long traceback" in (tmp_path / "run.log").read_text()


def test_the_log_of_a_sweep_receives_what_its_jobs_say(tmp_path: Path) -> None:
    with run_log(tmp_path / "sweep.log", run_id="sweep"):
        with run_log(tmp_path / "job.log", run_id="job"):
            OURS.info("in the job")
        OURS.info("after the job")
    assert "sweep medexp.somewhere: in the job" in (tmp_path / "sweep.log").read_text()
    assert (tmp_path / "job.log").read_text().count("the job") == 1


def test_what_native_libraries_print_goes_to_the_file_and_only_meanwhile(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with native_stderr_to(tmp_path / "run.log"):
        os.write(2, b"native noise\n")
    os.write(2, b"back again\n")
    assert (tmp_path / "run.log").read_text() == "native noise\n"
    assert capfd.readouterr().err == "back again\n"
