"""From the command line and `search.space`, in Hydra's grammar, to what is searched and what is fixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig

from hydra_plugins.medexp_sweeper._parameter import name_of, parameter_of
from hydra_plugins.medexp_sweeper._values import write
from medexp.config.schema_search import SearchConfig
from medexp.errors import ConfigError
from medexp.sweep.exhaustive import exhaustive
from medexp.sweep.load_condition import load_condition
from medexp.sweep.samplers import EXHAUSTIVE, check_sampler
from medexp.sweep.space import Parameter, Space


class Searched(NamedTuple):
    """What each job gets, and what is searched."""

    fixed: list[str]
    space: Space


def space_of(arguments: Sequence[str], search: SearchConfig, loader: ConfigLoader, *, base: DictConfig) -> Searched:
    """Return the fixed overrides of all jobs, and the space: `search.space` with what the command line sweeps over.

    Of a key that both name, the command line's is taken; a value there removes it from the space. The space comes with
    its combinations where the sampler tries each once.

    Args:
        arguments: the command line, without Hydra's own options.
        search: the search.
        loader: Hydra's, which knows the groups.
        base: what is composed without the swept keys; an interval of a key that is an integer there is one of integers.

    Raises:
        ConfigError: lists every key that cannot be searched, or says why the sampler cannot search the space.
    """
    problems: list[str] = []
    found: dict[str, Override] = {}  # in the order of the first mention, which is Hydra's
    for key, text in search.space.items():
        try:
            override = _parse(f"{key}={text}", f"search.space.{key}", loader)
        except ConfigError as error:
            problems.append(str(error))
            continue
        found[name_of(override)] = override
        if not override.is_sweep_override():
            problems.append(
                f"search.space.{key}: one value leaves nothing to search. Received: {text}. "
                f"Override: '{key}={text}' on the command line, and none here"
            )
    for argument in arguments:
        override = _parse(argument, argument.partition("=")[0], loader)
        found[name_of(override)] = override
    parameters = []
    for override in found.values():
        if override.is_sweep_override():
            try:
                parameters.append(parameter_of(override, search, loader, base))
            except ConfigError as error:
                problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    fixed = [_fixed(override) for override in found.values() if not override.is_sweep_override()]
    return Searched(fixed, _space(tuple(parameters), search))


def _space(parameters: tuple[Parameter, ...], search: SearchConfig) -> Space:
    condition = load_condition(search.condition) if search.condition is not None else None
    space = Space(parameters, condition)
    if search.sampler == "grid" and condition is not None:
        raise ConfigError(
            "A grid is the product of all values, it has no conditions. "
            f"Received: search.condition={search.condition}. Override: search.sampler=brute_force"
        )
    if search.sampler in EXHAUSTIVE:
        space = exhaustive(space, shuffled_by=search.seed if search.sampler == "brute_force" else None)
    objectives = max(1, len(search.objectives))
    check_sampler(search.sampler, search.sampler_options, space=space, objectives=objectives)
    return space


def _parse(text: str, where: str, loader: ConfigLoader) -> Override:
    try:
        (override,) = OverridesParser.create(config_loader=loader).parse_overrides([text])
    except HydraException as error:
        reason = str(error).partition("\nSee http")[0].replace("\n", " ")
        hint = ""
        if "NoneType" in reason and "choice" in text:
            hint = " Hydra's choice() takes no null; a list does: null,0.1"
        raise ConfigError(f"{where}: not in Hydra's grammar. Received: {text}. {reason}.{hint}") from error
    return override


def _fixed(override: Override) -> str:
    key = override.get_key_element()
    bare = override.type == OverrideType.DEL and override.value_type is None
    return key if bare else f"{key}={write(override._value)}"
