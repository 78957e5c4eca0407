"""What a search may choose from: parameters, how they are suggested by Optuna, and how they are written for Hydra."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from medexp.errors import ConfigError, MedexpError, unknown

if TYPE_CHECKING:
    import optuna

Value = str | int | float
Condition = Callable[["optuna.Trial", "Space"], Sequence[str]]


@dataclass(frozen=True)
class Choice:
    """A parameter with a list of values.

    Attributes:
        key: of the override, as written: `model`, `++optimizer.momentum`.
        values: each as Hydra reads it back, such as `null`, `true`, `1e-3`, `'a, b'`, `[8,16]`. Optuna sees these
            texts, so that `null` and `true` are categories like any other.
    """

    key: str
    values: tuple[str, ...]

    @property
    def name(self) -> str:
        """What Optuna and the tables call it: the key without `+` or `++`."""
        return self.key.lstrip("+~")

    @property
    def distribution(self) -> optuna.distributions.BaseDistribution:
        """As Optuna knows it."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def suggest(self, trial: optuna.Trial) -> str:
        """Let the trial choose; return the override."""
        return f"{self.key}={trial.suggest_categorical(self.name, self.values)}"

    def describe(self) -> str:
        """One line that differs where the parameter differs."""
        return ",".join(self.values)


@dataclass(frozen=True)
class Interval:
    """A parameter with a range of numbers; both ends belong to it.

    Attributes:
        key: of the override, as written.
        low: the smallest value.
        high: the largest value; with a step, one that can be reached from `low`.
        integer: whole numbers only.
        log: as many values between 1 and 10 as between 10 and 100; excludes a step.
        step: between neighbours; None: any value (any whole number).
    """

    key: str
    low: float
    high: float
    integer: bool = False
    log: bool = False
    step: float | None = None

    @property
    def name(self) -> str:
        """What Optuna and the tables call it: the key without `+` or `++`."""
        return self.key.lstrip("+~")

    @property
    def finite(self) -> bool:
        """Whether its values can be listed."""
        return self.integer or self.step is not None

    @property
    def distribution(self) -> optuna.distributions.BaseDistribution:
        """As Optuna knows it."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.integer:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(float(self.low), float(self.high), log=self.log, step=self.step)

    def suggest(self, trial: optuna.Trial) -> str:
        """Let the trial choose; return the override."""
        value: float
        if self.integer:
            value = trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        else:
            value = trial.suggest_float(self.name, float(self.low), float(self.high), log=self.log, step=self.step)
        return f"{self.key}={self.write(value)}"

    def write(self, value: float) -> str:
        """The number as Hydra reads it back: the same one, but for the rounding error of a sum of steps."""
        if self.integer:
            return str(int(value))
        if self.step is None:
            return repr(float(value))
        low, step = Decimal(repr(self.low)), Decimal(repr(self.step))
        return repr(float(low + round((Decimal(repr(float(value))) - low) / step) * step))

    def describe(self) -> str:
        """One line that differs where the parameter differs."""
        ends = f"{self.write(self.low)},{self.write(self.high)}"
        text = f"int(interval({ends}))" if self.integer else f"interval({ends})"
        tags = (["log"] if self.log else []) + ([f"step:{self.step:g}"] if self.step is not None else [])
        return f"tag({','.join([*tags, text])})" if tags else text


Parameter = Choice | Interval


@dataclass(frozen=True)
class Space:
    """All that a search may choose from.

    Attributes:
        parameters: in the order of the command line.
        condition: chooses from the space where parts of it depend on others; see `medexp.sweep.conditions`.
        combinations: for the samplers that try each once, in their order: the overrides of each trial. None for the
            others.
        assignments: the same as Optuna's values, by parameter.
    """

    parameters: tuple[Parameter, ...]
    condition: Condition | None = None
    combinations: tuple[tuple[str, ...], ...] | None = None
    assignments: tuple[Mapping[str, Value], ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What can be suggested: keys without `+` or `++`."""
        return tuple(parameter.name for parameter in self.parameters)

    def suggest(self, trial: optuna.Trial, name: str) -> str:
        """Let the trial choose the parameter `name`; return the override, such as `model=resnet18`.

        For conditions. A parameter suggested twice in a trial keeps its value.

        Raises:
            ConfigError: the space has no such parameter.
        """
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter.suggest(trial)
        raise ConfigError(f"search.condition: {unknown('parameter of the space', name, self.names)}")

    def overrides(self, trial: optuna.Trial) -> list[str]:
        """Let the trial choose; return the overrides of its job.

        Raises:
            ConfigError: the condition failed, or returned something else than overrides.
        """
        if self.condition is None:
            return [parameter.suggest(trial) for parameter in self.parameters]
        from optuna.exceptions import OptunaError

        where = f"search.condition={condition_name(self.condition)}"
        try:
            chosen = self.condition(trial, self)
        except (MedexpError, OptunaError, OSError):  # not the condition's: the storage's, or explained already
            raise
        except Exception as error:
            raise ConfigError(f"The condition failed: {type(error).__name__}: {error}. Received: {where}") from error
        if isinstance(chosen, str) or not isinstance(chosen, Sequence) or not all(_is_override(o) for o in chosen):
            raise ConfigError(f"A condition returns a list of overrides (key=value). Received: {where} -> {chosen!r}")
        return list(chosen)

    def describe(self) -> dict[str, str]:
        """What defines the space, to be stored and compared: a line for each parameter, and the condition's name.

        With a digest of the condition's source: a space is another one when it was rewritten.
        """
        lines = {parameter.name: parameter.describe() for parameter in self.parameters}
        if self.condition is not None:
            lines["search.condition"] = f"{condition_name(self.condition)} ({_digest_of_source(self.condition)})"
        return lines


def condition_name(condition: Condition) -> str:
    """Its dotted path."""
    name = getattr(condition, "__qualname__", type(condition).__qualname__)
    return f"{getattr(condition, '__module__', '')}.{name}"


def _digest_of_source(condition: Condition) -> str:
    try:
        source = inspect.getsource(condition)
    except (OSError, TypeError):
        return "source unknown"
    return hashlib.sha256(source.encode()).hexdigest()[:8]


def _is_override(text: object) -> bool:
    return isinstance(text, str) and ("=" in text or text.startswith("~"))
