"""From one sweeping override to a parameter of the space: the traps of Hydra's grammar end here."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Hashable, Sequence
from decimal import Decimal
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    OverrideType,
    RangeSweep,
    Sweep,
)
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.medexp_sweeper._values import plain, write
from medexp.config.schema_search import SearchConfig
from medexp.errors import ConfigError, unknown
from medexp.sweep.exhaustive import MOST
from medexp.sweep.samplers import EXHAUSTIVE
from medexp.sweep.space import Choice, Interval, Parameter

# What all trials of a study share; `logger` and `tracking` hold the parent.
_SHARED = ("hydra", "logger", "objective", "paths", "resume", "search", "sweep", "tracking")


def name_of(override: Override) -> str:
    """Return the key without the sign before it: `+a`, `++a` and `a` are about one thing."""
    return override.get_key_element().lstrip("+~")


def parameter_of(override: Override, search: SearchConfig, loader: ConfigLoader, base: DictConfig) -> Parameter:
    """Return what a sweeping override lets the sampler choose from.

    Args:
        override: as Hydra parsed it.
        search: whose sampler takes lists (of ranges, too) or numbers.
        loader: Hydra's, which knows the options of groups.
        base: what is composed without the swept keys.

    Raises:
        ConfigError: says what is wrong, and how to write it.
    """
    name, value = name_of(override), override._value
    received = f"Received: {override.input_line}."
    first = name.replace("/", ".").partition(".")[0]
    if first in _SHARED:
        raise ConfigError(f"{name}: all trials of a study share it, it cannot be searched. {received}")
    if override.type == OverrideType.DEL:
        raise ConfigError(f"{name}: what is removed has no values to choose from. {received} Override: '~{name}'")
    tags = {str(tag) for tag in value.tags} if isinstance(value, Sweep) else set()
    step = _step(tags, f"{name}: ", received)
    if strange := sorted(tag for tag in tags if tag != "log" and not tag.startswith("step:")):
        raise ConfigError(f"{name}: {unknown('tag', strange[0], ['log', 'step:0.1'])} {received}")
    log = "log" in tags
    if isinstance(value, IntervalSweep):
        return _interval(override, value, log=log, step=step, integer=_is_integer(base, override.key_or_group))
    if step is not None:
        raise ConfigError(f"{name}: step is for intervals. {received} Override: {name}=range(start,stop,step)")
    if isinstance(value, RangeSweep) and value.step == 0:
        raise ConfigError(f"{name}: a step of 0 leads nowhere. {received} Override: {name}=range(start,stop,step)")
    if isinstance(value, RangeSweep) and search.sampler not in EXHAUSTIVE:
        return _range(override, value, log=log)
    if log:
        raise ConfigError(
            f"{name}: log needs numbers between two ends, which {search.sampler} cannot try one by one, and a list has "
            f"none. {received} Override: {name}=1e-4,1e-3,1e-2, or search.sampler=tpe and "
            f"{name}=tag(log,interval(1e-4,1e-2))"
        )
    return Choice(override.get_key_element(), _choices(override, search, loader, received))


def _choices(override: Override, search: SearchConfig, loader: ConfigLoader, received: str) -> tuple[str, ...]:
    name, sweep = name_of(override), override._value
    shuffled = isinstance(sweep, ChoiceSweep | RangeSweep) and sweep.shuffle
    if isinstance(sweep, ChoiceSweep | RangeSweep):
        sweep.shuffle = False  # Hydra's own order would be another at each start
    values = [plain(value) for value in itertools.islice(override.sweep_iterator(), MOST + 1)]
    if len(values) > MOST:
        raise ConfigError(f"{name}: more than {MOST} values. {received} Override: search.sampler=random")
    options = loader.get_group_options(override.key_or_group)
    if not values:
        there = f" Available: {', '.join(options)}." if options else ""
        raise ConfigError(f"{name}: no value is left. {received}{there}")
    for value in values:
        if options and isinstance(value, str) and value not in options:
            raise ConfigError(f"{name}: {unknown('option', value, options)}")
    _refuse_repeated(name, values, received)
    if shuffled:
        random.Random(f"{search.seed}/{name}").shuffle(values)  # noqa: S311  no secret
    return tuple(write(value) for value in values)


def _refuse_repeated(name: str, values: Sequence[Any], received: str) -> None:
    """1, 1.0 and true are one value, in YAML as in Python."""
    seen: dict[Any, Any] = {}
    for value in values:
        known = value if isinstance(value, Hashable) else repr(value)
        if known in seen:
            raise ConfigError(
                f"{name}: {write(seen[known])} and {write(value)} are the same value, a trial would be done twice. "
                f"{received} Name each once; text that looks like a number is written in quotes"
            )
        seen[known] = value


def _interval(override: Override, value: IntervalSweep, *, log: bool, step: float | None, integer: bool) -> Interval:
    name, received = name_of(override), f"Received: {override.input_line}."
    low, high = value.start, value.end
    assert low is not None
    assert high is not None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(
            f"{name}: an interval goes from the smaller to the larger. {received} Override: {name}=interval(0,1)"
        )
    integer = integer or (isinstance(low, int) and isinstance(high, int))
    if integer and not (float(low).is_integer() and float(high).is_integer()):
        raise ConfigError(
            f"{name}: is an integer, the ends of its interval must be. {received} "
            f"Override: {name}=int(interval({math.floor(low)},{math.ceil(high)}))"
        )
    return _numbers(override, low=low, high=high, log=log, step=step, integer=integer)


def _range(override: Override, value: RangeSweep, *, log: bool) -> Interval:
    """Hydra's range leaves out its end, Optuna's does not: it ends with the last value that is reached."""
    name, received = name_of(override), f"Received: {override.input_line}."
    assert value.start is not None
    assert value.stop is not None
    start, stop, step = (Decimal(repr(number)) for number in (value.start, value.stop, value.step))
    count = math.ceil((stop - start) / step)
    if count < 1:
        raise ConfigError(f"{name}: the range is empty, its end is left out. {received} Override: {name}=range(1,10)")
    integer = all(isinstance(number, int) for number in (value.start, value.stop, value.step))
    ends = sorted([start, start + (count - 1) * step])
    if log and not (integer and abs(step) == 1):
        raise ConfigError(
            f"{name}: log and a step exclude each other. {received} Override: {name}=tag(log,interval(...)), or the "
            f"values themselves: {name}=16,32,64"
        )
    return _numbers(
        override,
        low=float(ends[0]),
        high=float(ends[1]),
        log=log,
        step=None if integer and abs(step) == 1 else float(abs(step)),
        integer=integer,
    )


def _numbers(override: Override, *, low: float, high: float, log: bool, step: float | None, integer: bool) -> Interval:
    name, received = name_of(override), f"Received: {override.input_line}."
    if log and low <= 0:
        raise ConfigError(
            f"{name}: log needs ends above 0. {received} "
            f"Override: {name}=tag(log,interval({1 if integer else 1e-6},{high:g}))"
        )
    if log and step is not None:
        raise ConfigError(f"{name}: log and a step exclude each other. {received} Leave one of them out")
    if integer and step is not None and not float(step).is_integer():
        raise ConfigError(f"{name}: is an integer, its step must be. {received} Override: step:{math.ceil(step)}")
    if step is not None:
        count = int((Decimal(repr(high)) - Decimal(repr(low))) / Decimal(repr(step)))
        if count < 1 and low < high:
            raise ConfigError(f"{name}: the step is longer than the interval. {received} Override: a smaller step")
        high = float(Decimal(repr(low)) + count * Decimal(repr(step)))
    if integer:
        return Interval(override.get_key_element(), int(low), int(high), integer=True, log=log, step=step and int(step))
    return Interval(override.get_key_element(), float(low), float(high), log=log, step=step)


def _step(tags: set[str], where: str, received: str) -> float | None:
    texts = [tag.partition(":")[2] for tag in tags if tag.startswith("step:")]
    if not texts:
        return None
    try:
        step = float(texts[0])
    except ValueError:
        step = 0.0
    if len(texts) > 1 or not (math.isfinite(step) and step > 0):
        raise ConfigError(f"{where}a step is one number above 0. {received} Override: tag(step:0.1,interval(0,1))")
    return step


def _is_integer(base: DictConfig, key: str) -> bool:
    """Whether the key is an integer in what is composed; booleans are none."""
    value = OmegaConf.select(base, key, default=None, throw_on_missing=False)
    return type(value) is int
