"""What a person watching is told, in as many columns as there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SHOWN = ("loss", "accuracy", "val_loss", "val_accuracy")
SHORTEST_BAR = 8  # columns


@dataclass(frozen=True)
class Moment:
    """A training at one moment.

    Args:
        epoch: from 1.
        epochs: of the whole training.
        phase: its name; empty where there is one only.
        metric: the objective's name.
        last: its value after the last epoch; None before.
        best: the best so far.
        best_epoch: its epoch, from 1.
        images_per_second: of training.
        seconds_left: of the whole training.
        validating: the steps of the epoch are done.
    """

    epoch: int
    epochs: int
    phase: str
    metric: str
    last: float | None
    best: float | None
    best_epoch: int
    images_per_second: float | None
    seconds_left: float | None
    validating: bool = False

    @property
    def counted(self) -> str:
        """As " 3/15"."""
        return f"{self.epoch:{len(str(self.epochs))}d}/{self.epochs}"

    @property
    def left(self) -> str:
        """As "1:02:03", or "-:--" before anything is measured."""
        if self.seconds_left is None:
            return "-:--"
        minutes, seconds = divmod(round(self.seconds_left), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"

    def speed(self, unit: str) -> str:
        """As " 2,410 images/s", or what happens meanwhile, in columns that stay the same."""
        rate = "first step" if self.images_per_second is None else f"{_count(self.images_per_second)} {unit}"
        return f"{'validation' if self.validating else rate:>{len(unit) + 6}}"


def around_the_bar(moment: Moment, *, width: int) -> tuple[str, int, str]:
    """Return what is left of the bar, the columns of the bar, and what is right of it: `width` columns together.

    A narrow terminal shows shorter words, then no name of the phase, then none of the metric, then no metric.
    """
    name, last, best = moment.metric, "", ""
    if moment.last is not None:
        last = f"{moment.last:.4f}"
    if moment.best is not None:
        best = f"best {moment.best:.4f} ({moment.best_epoch})"
    phase = f" {moment.phase}" if moment.phase else ""
    counted, left = moment.counted, moment.left
    watched = f"{name} {last}".rstrip()
    forms = [
        (f"epoch {counted}{phase} ", (moment.speed("images/s"), watched, best, f"left {left}"), "  ", SHORTEST_BAR),
        (f"epoch {counted}{phase} ", (moment.speed("img/s"), watched, best, f"left {left}"), "  ", SHORTEST_BAR),
        (f"epoch {counted} ", (moment.speed("img/s"), watched, best, f"left {left}"), "  ", SHORTEST_BAR),
        (f"{counted} ", (moment.speed("img/s"), last, best, left), "  ", SHORTEST_BAR),
        (f"{counted} ", (moment.speed("/s").replace(" /s", "/s").strip(), last, best, left), " ", 4),
        (f"{counted} ", (left,), " ", 4),
    ]
    for before, parts, gap, shortest in forms:
        after = "".join(gap + part for part in parts if part)
        bar = width - len(before) - len(after)
        if bar >= shortest:
            break
    else:
        before, after, bar = "", "", max(0, width)
    longest = max(SHORTEST_BAR, width // 3)
    return before, min(bar, longest), after


def epoch_line(moment: Moment, metrics: Mapping[str, float], *, seconds: float, width: int | None = None) -> str:
    """Return how an epoch went, as one line of at most `width` columns; None for all there is to say."""
    watched = moment.metric
    values = [(name, f"{name} {metrics[name]:.4f}") for name in dict.fromkeys([*SHOWN, watched]) if name in metrics]
    word = "epoch " if width is None else ""
    more = {
        "best": f"best {moment.best:.4f} ({word}{moment.best_epoch})" if moment.best is not None else "",
        "seconds": f"{seconds:.1f} s",
        "speed": "" if moment.images_per_second is None else f"{_count(moment.images_per_second)} images/s",
        "left": f"left {moment.left}",
    }
    parts = {"epoch": f"epoch {moment.counted}", **dict(values), **{k: v for k, v in more.items() if v}}
    for least in ("accuracy", "speed", "left", "val_accuracy", "loss", "val_loss", "seconds", "best"):
        if width is None or len("  ".join(parts.values())) <= width:
            break
        if least != watched:
            parts.pop(least, None)
    line = "  ".join(parts.values())
    return line if width is None else line[:width]


def step_line(moment: Moment, *, step: int, steps: int) -> str:
    """Return how far an epoch is, as one line."""
    where = "validation" if moment.validating else f"step {step}/{steps}"
    speed = "" if moment.validating else f"  {moment.speed('images/s').strip()}"
    return f"epoch {moment.counted}  {where}{speed}  left {moment.left}"


def _count(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"
