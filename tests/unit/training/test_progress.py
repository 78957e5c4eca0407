"""What a person watching is told: in a real terminal, in a file, and how little it costs."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
from rich.console import Console
from support import ROOT

from medexp.logs import run_log
from medexp.training.progress import Progress
from medexp.training.progress_text import Moment, around_the_bar, epoch_line
from medexp.types import Objective

WATCHED = Objective("val_auc", "max")
LONG = "a warning longer than the terminal is wide " + "x" * 120
# What runs in the terminal: two phases, somebody else's lines in between, and an ending of each kind.
TRAINING = f"""
import fcntl, logging, os, signal, struct, sys, termios, time
from pathlib import Path
import keras, numpy as np
from medexp.logs import run_log
from medexp.tracking.killable import killable
from medexp.training.progress import Progress
from medexp.types import Objective

def ending(kind):
    if kind == "exception": raise ValueError("broken")
    if kind: os.kill(os.getpid(), getattr(signal, kind))

class Meanwhile(keras.callbacks.Callback):
    def __init__(self, kind): super().__init__(); self.kind = kind
    def on_train_batch_begin(self, batch, logs=None): time.sleep(0.05)
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            logging.getLogger("medexp.x").warning({LONG!r})
            print("printed meanwhile", flush=True)
            ending(self.kind)

signal.signal(signal.SIGINT, signal.default_int_handler)
keras.utils.set_random_seed(0)
x = np.random.default_rng(0).random((320, 4)).astype("float32")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse", metrics=["mae"])
print("----", flush=True)
for argument in sys.argv[2:]:
    columns, level, kind = argument.split(":")
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(columns), 0, 0))
    with killable(), run_log(Path(sys.argv[1]), run_id=level, console_level=level):
        try:
            with Progress(steps=10, images=320, val_images=320, objective=Objective("val_mae", "min")) as progress:
                for phase, first in (("head", 0), ("all", 1)):
                    progress.begin(epochs=2, phase=phase)
                    model.fit(x, x[:, :1], validation_data=(x, x[:, :1]), initial_epoch=first, epochs=first + 1,
                              batch_size=32, verbose=0, callbacks=[progress, Meanwhile(kind)])
        except BaseException as error:
            print("ended by", type(error).__name__, flush=True)
        logging.getLogger("medexp.x").info("after %s", kind or "the end")
    print("----", flush=True)
"""
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


TRAININGS = ("80:INFO:", "50:INFO:", "80:INFO:exception", "80:INFO:SIGTERM", "80:INFO:SIGINT", "80:WARNING:")


@dataclass(frozen=True)
class Screen:
    """What a training wrote to a terminal."""

    columns: int
    raw: str

    @property
    def lines(self) -> list[str]:
        return [line for line in re.split(r"[\r\n]+", CONTROL.sub("", self.raw)) if line]

    @property
    def ours(self) -> list[str]:
        return [line for line in self.lines if re.match(r"(epoch )?\d/2 ", line)]


@dataclass(frozen=True)
class Screens:
    """One for each training, and the log of all."""

    of: dict[str, Screen]
    log: str

    def __getitem__(self, name: str) -> Screen:
        return self.of[name]


@pytest.fixture(scope="module")
def screens(tmp_path_factory: pytest.TempPathFactory, artifacts: Path) -> Screens:
    pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
    log = tmp_path_factory.mktemp("screens") / "run.log"
    environment = {**os.environ, "TERM": "xterm-256color", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        environment.pop(name, None)
    master, slave = pty.openpty()
    command = [sys.executable, "-c", TRAINING, str(log), *TRAININGS]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    parts = []
    with suppress(OSError):  # which Linux raises at the end
        while part := os.read(master, 65536):
            parts.append(part)
    os.close(master)
    raw = b"".join(parts).decode()
    assert process.wait(30) == 0, raw
    texts = raw.split("----\r\n")[1:-1]  # before the first, native libraries have their say
    found = {name: Screen(int(name.split(":")[0]), text) for name, text in zip(TRAININGS, texts, strict=True)}
    shown = [f"# {name}\n" + "\n".join(screen.lines) for name, screen in found.items()]
    (artifacts / "progress.txt").write_text("\n\n".join(shown) + "\n")
    return Screens(found, log.read_text())


@pytest.mark.parametrize("name", TRAININGS[:2])
def test_no_line_is_wider_than_the_terminal(screens: Screens, name: str) -> None:
    screen = screens[name]
    assert len(screen.ours) > 8
    assert max(len(line) for line in screen.ours) < screen.columns


@pytest.mark.parametrize("name", TRAININGS[:2])
def test_the_bar_shows_epoch_speed_metric_best_and_time_left(screens: Screens, name: str) -> None:
    second = next(line for line in screens[name].ours if "2/2" in line and "━" in line)
    assert re.search(
        r"2/2 .*━+.* [\d,.]+ ?(img|images)?/s +(val_mae )?\d\.\d{4} +best \d\.\d{4} \(1\) +(left )?0:0\d$", second
    )


def test_the_bar_of_the_first_epoch_names_the_phase(screens: Screens) -> None:
    assert re.match(r"epoch 1/2 head ━+ +first step  val_mae  left -:--$", screens["80:INFO:"].ours[0])


def test_an_epoch_leaves_one_line_on_the_screen(screens: Screens) -> None:
    done = [line for line in screens["50:INFO:"].ours if "━" not in line]
    assert len(done) == 2
    assert re.match(r"epoch 1/2  val_mae \d\.\d{4}  best \d\.\d{4} \(1\)", done[0])


def test_what_others_say_meanwhile_is_whole_and_has_a_line_of_its_own(screens: Screens) -> None:
    for line in (LONG, "printed meanwhile"):
        assert line in screens["80:INFO:"].lines
        assert line in screens["50:INFO:"].lines


@pytest.mark.parametrize(
    ("error", "kind"), [("ValueError", "exception"), ("SystemExit", "SIGTERM"), ("KeyboardInterrupt", "SIGINT")]
)
def test_however_it_ends_the_terminal_is_as_before(screens: Screens, error: str, kind: str) -> None:
    raw = screens[f"80:INFO:{kind}"].raw
    assert f"\x1b[?25h\r\x1b[1A\x1b[2Kended by {error}\r\nafter {kind}\r\n" in raw  # cursor shown, bar gone


def test_the_cursor_is_never_left_hidden_by_a_kill(screens: Screens) -> None:
    raw = screens["50:INFO:"].raw
    hidden = raw.index("\x1b[?25l")
    assert raw[hidden:].startswith("\x1b[?25l\x1b[?25h")


def test_a_console_of_warnings_shows_no_bar(screens: Screens) -> None:
    assert screens["80:WARNING:"].lines == [LONG, "printed meanwhile"]


def test_the_log_has_the_whole_line_of_each_epoch_whatever_the_terminal_shows(screens: Screens) -> None:
    for name, times in (("INFO", 7), ("WARNING", 2)):
        line = rf"{name} medexp\S+ epoch \d/2  loss [\d.]+  val_loss [\d.]+  val_mae [\d.]+  best [\d.]+ \(epoch \d\)"
        assert len(re.findall(line, screens.log)) == times
    assert "━" not in screens.log


# ---- elsewhere: files, pipes, other clocks


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Training:
    """Calls of Keras, one step a second unless told otherwise."""

    def __init__(self, *, steps: int = 10, epochs: int = 3, console: Console | None = None, **more: object) -> None:
        self.clock, self.steps, self.epochs = Clock(), steps, epochs
        self.progress = Progress(
            steps=steps, images=32 * steps, val_images=32 * steps, objective=WATCHED,
            console=console or Console(file=io.StringIO()), clock=self.clock, **more,  # type: ignore[arg-type]
        )  # fmt: skip
        self.progress.begin(epochs=epochs)

    def epoch(
        self, epoch: int, *, skip: int = 0, step: float = 1.0, first: float = 1.0, val: float = 5.0, auc: float = 0.5
    ) -> None:
        self.begin(epoch, skip=skip, step=step, first=first, until=self.steps - skip)
        self.progress.on_test_begin()
        self.clock.now += val
        self.progress.on_epoch_end(epoch, {"loss": 1.0, "val_loss": 1.0, "val_auc": auc})

    def begin(self, epoch: int, *, until: int, skip: int = 0, step: float = 1.0, first: float = 1.0) -> None:
        """The first `until` batches of an epoch."""
        self.progress.on_epoch_begin(epoch)
        for batch in range(until):
            self.progress.on_train_batch_begin(batch)
            self.clock.now += first if batch == 0 else step
        if until < self.steps - skip:
            self.progress.on_train_batch_begin(until)


def test_time_left_is_that_of_all_epochs_with_their_validation() -> None:
    training = Training()
    training.epoch(0, first=60.0)  # 60 s to compile, 9 s of steps, 5 s of validation
    assert training.progress.moment.seconds_left == pytest.approx(2 * (10 + 5))
    training.begin(1, until=4)
    assert training.progress.moment.seconds_left == pytest.approx(6 + 5 + 15)


def test_in_the_first_epoch_it_is_estimated_from_its_steps() -> None:
    training = Training()
    training.begin(0, until=4, first=60.0)
    assert training.progress.moment.seconds_left == pytest.approx(6 + 2 * 10 + 3 * 10 / 3)
    assert training.progress.moment.images_per_second == pytest.approx(32)


def test_nothing_is_estimated_from_the_step_that_compiles() -> None:
    training = Training()
    training.begin(0, until=1, first=60.0)
    assert training.progress.moment.seconds_left is None
    assert training.progress.moment.left == "-:--"


def test_a_phase_of_slower_steps_is_measured_anew() -> None:
    training = Training(epochs=2)
    training.epoch(0)
    training.progress.begin(epochs=2, phase="all")
    training.begin(1, until=5, step=4.0, first=60.0)
    assert training.progress.moment.images_per_second == pytest.approx(8)
    assert training.progress.moment.seconds_left == pytest.approx(5 * 4 + 5)


def test_a_resumed_epoch_begins_where_it_was_left_and_the_best_is_remembered() -> None:
    training = Training(history=[{"val_auc": 0.9}, {"val_auc": 0.7}])
    training.progress.begin(epochs=3, skip=4)
    training.begin(2, until=3, skip=4)
    moment = training.progress.moment
    assert training.progress.share == pytest.approx(0.7)
    assert (moment.best, moment.best_epoch, moment.last) == (0.9, 1, 0.7)
    assert moment.seconds_left == pytest.approx(3 + 10 / 3)


def test_elsewhere_there_is_a_line_for_each_epoch_and_no_bar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with run_log(tmp_path / "run.log", run_id="r"):
        training = Training(epochs=12)
        with training.progress:
            for epoch, auc in enumerate((0.7, 0.9, 0.8)):
                training.epoch(epoch, auc=auc)
    lines = capsys.readouterr().err.splitlines()
    assert lines[2] == (
        "epoch  3/12  loss 1.0000  val_loss 1.0000  val_auc 0.8000  "
        "best 0.9000 (epoch 2)  15.0 s  32 images/s  left 2:15"
    )
    assert len(lines) == 3
    assert [line.split(": ", 1)[1] for line in (tmp_path / "run.log").read_text().splitlines()] == lines


def test_a_long_epoch_says_something_now_and_then(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with run_log(tmp_path / "run.log", run_id="r"):
        training = Training(steps=100, epochs=1)
        with training.progress:
            training.epoch(0)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  left")[0] for line in lines[:-1]] == [
        f"epoch 1/1  step {step}/100  32 images/s" for step in (30, 60, 90)
    ]


def test_the_best_has_the_direction_of_the_objective() -> None:
    for mode, epoch in (("max", 1), ("min", 2)):
        progress = Progress(
            steps=1, images=1, val_images=1, objective=Objective("val_auc", mode),
            history=[{"val_auc": 0.9}, {"val_auc": 0.7}, {"val_auc": float("nan")}],
        )  # fmt: skip
        assert progress.moment.best_epoch == epoch


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_a_terminal(tmp_path: Path, file: io.StringIO, **more: object) -> Training:
    console = Console(file=file, force_terminal=True, width=80, soft_wrap=True)
    return Training(steps=2000, epochs=1, console=console, **more)


def test_the_bar_is_drawn_five_times_a_second_at_most(tmp_path: Path) -> None:
    with run_log(tmp_path / "run.log", run_id="r"):
        training = on_a_terminal(tmp_path, file := Terminal())
        with training.progress:
            training.begin(0, until=2000, step=0.005, first=0.005)
    assert 40 <= file.getvalue().count("epoch 1/1") <= 10 * 5 + 2


def test_it_takes_less_than_half_a_percent_of_a_step_of_5_ms(tmp_path: Path) -> None:
    costs = []
    with run_log(tmp_path / "run.log", run_id="r"):
        for _ in range(3):
            training = on_a_terminal(tmp_path, Terminal())
            with training.progress:
                training.begin(0, until=100, step=0.005, first=0.005)  # warm
                start = time.process_time()
                training.begin(0, until=2000, step=0.005, first=0.005)
                costs.append((time.process_time() - start) / 2000)
    assert min(costs) < 0.005 * 0.005


def test_a_terminal_that_is_gone_ends_the_bar_and_not_the_training(tmp_path: Path) -> None:
    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    before = sys.stderr, sys.stdout
    with run_log(tmp_path / "run.log", run_id="r"):
        training = on_a_terminal(tmp_path, Gone())
        with training.progress:
            training.epoch(0, step=0.005, first=0.005)
    assert (sys.stderr, sys.stdout) == before
    assert "epoch 1/1  loss" in (tmp_path / "run.log").read_text()


def test_no_value_is_read_between_steps() -> None:
    """Keras hands values over at the end of a batch only, and makes numbers of them for it: a wait for the device."""
    for name in ("on_train_batch_end", "on_test_batch_end", "on_batch_end"):
        assert getattr(Progress, name) is getattr(keras.callbacks.Callback, name)


def test_a_real_fit_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")])
    data = np.eye(4, dtype=np.float32), np.array([[0.0], [1.0], [0.0], [1.0]])
    with (
        caplog.at_level(logging.INFO, "medexp"),
        Progress(steps=4, images=4, val_images=4, objective=WATCHED) as progress,
    ):
        progress.begin(epochs=2)
        model.fit(*data, validation_data=data, batch_size=1, epochs=2, verbose=0, callbacks=[progress])
    assert [record.getMessage().split("  ")[0] for record in caplog.records] == ["epoch 1/2", "epoch 2/2"]
    assert progress.share == 1.0
    assert progress.moment.images_per_second


def test_nothing_is_wider_than_asked_for() -> None:
    metrics = {"loss": 0.1, "val_loss": 0.2, "val_auc": 0.3}
    long = Moment(12, 150, "unfrozen", "val_quadratic_kappa", 0.91, 0.93, 102, 12345.6, 36000.0)
    for moment in (long, Moment(1, 1, "", "val_auc", None, None, 0, None, None)):
        for width in range(16, 201):
            before, bar, after = around_the_bar(moment, width=width)
            assert len(before) + bar + len(after) <= width
            assert bar >= 1
            assert len(epoch_line(moment, metrics, seconds=1234.5, width=width)) <= width


def test_the_objective_stays_in_the_shortest_line() -> None:
    moment = Moment(1, 2, "", "val_loss", 0.2, 0.2, 1, 100.0, 3.0)
    assert "val_loss 0.2000" in epoch_line(moment, {"loss": 0.1, "val_loss": 0.2}, seconds=1.0, width=30)


def test_hours_are_written_as_such() -> None:
    assert Moment(1, 1, "", "m", None, None, 0, None, 3723.4).left == "1:02:03"
