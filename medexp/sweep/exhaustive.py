"""Spaces walked through from end to end: every combination, or enough of them to see that all values are accepted."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from optuna import logging as optuna_logging
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection

from medexp.errors import ConfigError
from medexp.sweep.space import Choice, Interval, Space, Value

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

MOST = 100_000
Combination = tuple[tuple[str, ...], Mapping[str, Value]]


def exhaustive(space: Space, *, shuffled_by: int | None = None) -> Space:
    """Return the space with all its combinations, in Hydra's order: the last parameter varies fastest.

    Args:
        space: what to walk through. A condition is asked for every combination.
        shuffled_by: a seed; in random order then, so that the first ones are spread over the space.

    Raises:
        ConfigError: a parameter has no end of values, or there are more combinations than anybody can try.
    """
    for parameter in space.parameters:
        if isinstance(parameter, Interval) and not parameter.finite:
            raise _endless(parameter.name, f"{parameter.key}={parameter.describe()}")
    found = list(itertools.islice(_walk(space) if space.condition else _product(space), MOST + 1))
    if len(found) > MOST:
        raise ConfigError(
            f"The space has more than {MOST} combinations, nobody tries them all. "
            f"Received: {', '.join(space.names)}. Override: search.sampler=random search.n_trials=100"
        )
    if shuffled_by is not None:
        random.Random(shuffled_by).shuffle(found)  # noqa: S311  no secret
    return replace(
        space,
        combinations=tuple(overrides for overrides, _ in found),
        assignments=tuple(values for _, values in found),
    )


def examples(space: Space) -> list[tuple[str, ...]]:
    """Return the overrides of a few trials; among them is each value of each choice, and both ends of each range.

    For checks before anything starts. A condition is called for each.

    Raises:
        ConfigError: the condition failed.
    """
    longest = max((len(p.values) for p in space.parameters if isinstance(p, Choice)), default=1)
    found = []
    for place in range(2 * longest):
        with _scratch(_Picks(functools.partial(_one_of, place=place))) as trial:
            found.append(tuple(space.overrides(trial)))
    return list(dict.fromkeys(found))


def _one_of(name: str, values: list[Any], *, place: int) -> Any:
    return values[place % len(values)]


def _product(space: Space) -> Iterator[Combination]:
    names = space.names
    listed = [[(f"{p.key}={text}", value) for text, value in _values(p)] for p in space.parameters]
    for chosen in itertools.product(*listed):
        yield tuple(text for text, _ in chosen), dict(zip(names, (value for _, value in chosen), strict=True))


def _values(parameter: Choice | Interval) -> list[tuple[str, Value]]:
    if isinstance(parameter, Choice):
        return [(text, text) for text in parameter.values]
    return [(parameter.write(value), value) for value in _candidates(parameter.name, parameter.distribution)]


def _walk(space: Space) -> Iterator[Combination]:
    """Depth first through all that the condition can choose; each combination once."""
    seen: set[tuple[str, ...]] = set()
    prefix: list[int] = []
    while True:
        walk = _Walk(prefix)
        with _scratch(_Picks(walk.pick, all_of=True)) as trial:
            overrides = tuple(space.overrides(trial))
            values = dict(trial.params)
        if overrides not in seen:
            seen.add(overrides)
            yield overrides, values
        path = walk.path
        while path and path[-1][0] + 1 == path[-1][1]:
            path.pop()
        if not path:
            return
        prefix = [place for place, _ in path]
        prefix[-1] += 1


class _Walk:
    """One way through the choices: first as `prefix` says, then the first value of each; `path` is what was taken."""

    def __init__(self, prefix: Sequence[int]) -> None:
        self._prefix = prefix
        self.path: list[tuple[int, int]] = []

    def pick(self, name: str, values: list[Any]) -> Any:
        place = self._prefix[len(self.path)] if len(self.path) < len(self._prefix) else 0
        self.path.append((place, len(values)))
        return values[place]


def _candidates(name: str, distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    assert isinstance(distribution, FloatDistribution)
    if distribution.step is None:
        raise _endless(name, f"{name}=interval({distribution.low:g},{distribution.high:g})")
    low, step = Decimal(repr(distribution.low)), Decimal(repr(distribution.step))
    return [float(low + place * step) for place in range(int((Decimal(repr(distribution.high)) - low) / step) + 1)]


def _endless(name: str, received: str) -> ConfigError:
    return ConfigError(
        f"{name}: every number between the ends is a value, not all can be tried. Received: {received}. "
        f"Override: {name}=range(...) or {name}=1,2,3 for some of them, or search.sampler=tpe search.n_trials=20"
    )


class _Picks(BaseSampler):
    """Takes what a function takes of the values that are possible: all, or the ends of a range."""

    def __init__(self, pick: Callable[[str, list[Any]], Any], *, all_of: bool = False) -> None:
        self._pick = pick
        self._all_of = all_of

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if self._all_of or isinstance(param_distribution, CategoricalDistribution):
            return self._pick(param_name, _candidates(param_name, param_distribution))
        assert isinstance(param_distribution, IntDistribution | FloatDistribution)
        return self._pick(param_name, [param_distribution.low, param_distribution.high])


@contextmanager
def _scratch(sampler: BaseSampler) -> Iterator[Trial]:
    """A trial of a study that nobody sees."""
    said = optuna_logging.get_verbosity()
    optuna_logging.set_verbosity(optuna_logging.WARNING)
    try:
        storage = InMemoryStorage()
        storage.create_new_study([StudyDirection.MINIMIZE], "scratch")
        yield Study("scratch", storage, sampler=sampler).ask()
    finally:
        optuna_logging.set_verbosity(said)
