"""Command lines that name a run or a sweep, as Hydra wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medexp.errors import ConfigError

_NOTHING = ("", "null", "none", "~")


def expand_resume(arguments: Sequence[str]) -> list[str]:
    """Return the command line of `scripts/train.py` with `resume=` and the places beside it as Hydra wants them.

    The id is quoted, because 12e456 would be a number and 012345 another; places of a data source are added by force,
    because the configuration that Hydra composes is not the run's own. Without `resume=` nothing changes.

    Raises:
        ConfigError: other overrides, which would have no effect, or a sweep.
    """
    overrides, multirun = _parsed(arguments)
    named = [item for item in overrides if _key(item) == "resume"]
    if not named or all(_value(item).lower() in _NOTHING for item in named):
        return list(arguments)
    refused = [item for item in overrides if item not in named and not _passes(item)]
    problems = [f"{item}: would have no effect, the run goes on as it was configured. Remove it." for item in refused]
    if multirun:
        problems.insert(0, "-m: resume= continues one run, it cannot be swept. Remove it.")
    if len(named) > 1:
        problems.insert(0, f"resume: names one run. Received: {' '.join(named)}.")
    if problems:
        raise _error(problems)
    return [_for_hydra(item, overrides, key="resume") for item in arguments]


def expand_run(arguments: Sequence[str]) -> list[str]:
    """Return the command line of `scripts/reproduce.py` with the run that stands alone written as `run=`.

    Raises:
        ConfigError: overrides that would have no effect, or a sweep.
    """
    overrides, multirun = _parsed(arguments)
    alone = [item for item in overrides if "=" not in item or Path(item).is_dir()]
    own = [item for item in overrides if item in alone or _key(item) in ("run", "accept")]
    problems = [
        f"{item}: would have no effect, the run is repeated as it was configured. Remove it."
        for item in overrides
        if item not in own and not _passes(item)
    ]
    if multirun:
        problems.insert(0, "-m: one run is reproduced at a time. Remove it.")
    named = [item for item in own if item in alone or _key(item) == "run"]
    if len(named) > 1:
        problems.insert(0, f"run: names one run. Received: {' '.join(named)}.")
    if problems:
        raise _error(problems)
    return [
        f"run={_quoted(item)}" if item in alone else _for_hydra(item, overrides, key="run")  # one positional at most
        for item in arguments
    ]


def expand_evaluated(arguments: Sequence[str]) -> list[str]:
    """Return the command line of `scripts/evaluate.py` with the run that may stand alone as `run=`, quoted.

    Places of the run's data source are added by force where no other data set is named, as in `expand_resume`.

    Raises:
        ConfigError: several runs are named, or a sweep.
    """
    overrides, multirun = _parsed(arguments)
    alone = [item for item in overrides if "=" not in item or Path(item).is_dir()]
    named = [item for item in overrides if item in alone or _key(item) == "run"]
    problems = ["-m: one run is evaluated at a time. Remove it."] if multirun else []
    if len(named) > 1:
        problems.append(f"run: names one run. Received: {' '.join(named)}.")
    if problems:
        raise _error(problems)
    other = any(_key(item) == "data" for item in overrides)

    def written(item: str) -> str:
        if item in alone:
            return f"run={_quoted(item)}"
        if item in named or not other:
            return _for_hydra(item, overrides, key="run")
        return item

    return [written(item) for item in arguments]


def expand_compared(arguments: Sequence[str]) -> list[str]:
    """Return the command line of `scripts/compare.py` with a sweep that stands alone written as `sweep=`.

    Names of sweeps and runs are quoted, in `runs=[...]` too: 12e456 would be a number.

    Raises:
        ConfigError: several sweeps are named.
    """
    overrides, _ = _parsed(arguments)
    alone = [item for item in overrides if "=" not in item]
    named = [item for item in overrides if item in alone or _key(item) == "sweep"]
    if len(named) > 1:
        raise _error([f"sweep: names one sweep. Received: {' '.join(named)}. Runs: runs=[{','.join(alone)}]"])
    return [_as_compared(item, alone) if item in overrides else item for item in arguments]


def expand_promotion(arguments: Sequence[str]) -> list[str]:
    """Return the command line of `scripts/promote.py` with ids and the reason quoted: a reason may have commas."""
    overrides, _ = _parsed(arguments)
    quoted = [item for item in overrides if _key(item) in ("run", "sweep", "reason")]
    return [
        f"{_key(item)}={_quoted(_value(item))}" if item in quoted and _value(item).lower() not in _NOTHING else item
        for item in arguments
    ]


def _as_compared(item: str, alone: Sequence[str]) -> str:
    key = "sweep" if item in alone else _key(item)
    value = item if item in alone else _value(item)
    if key == "proof.reference":
        return item if value.lower() in _NOTHING else f"{key}={_quoted(value)}"
    if key not in ("sweep", "runs") or value.lower() in _NOTHING:
        return item
    if key == "sweep":
        return f"sweep={_quoted(value)}"
    names = value.removeprefix("[").removesuffix("]").split(",")
    return f"runs=[{','.join(_quoted(name.strip()) for name in names if name.strip())}]"


def _error(problems: Sequence[str]) -> ConfigError:
    from medexp.config.load import report  # takes a while: only where a run is named

    return ConfigError(report(problems))


def _parsed(arguments: Sequence[str]) -> tuple[list[str], bool]:
    from hydra._internal.utils import get_args_parser

    parsed, _ = get_args_parser().parse_known_args(list(arguments))
    swept = any(_key(item) == "hydra.mode" for item in parsed.overrides)
    if parsed.shell_completion:
        return [], False
    return list(parsed.overrides), bool(parsed.multirun) or swept


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+")


def _value(override: str) -> str:
    return override.partition("=")[2].strip()


def _passes(override: str) -> bool:
    from medexp.config.places import may_be_place

    key = _key(override)
    return "=" in override and (key.startswith("hydra.") or may_be_place(key))


def _for_hydra(item: str, overrides: Sequence[str], *, key: str) -> str:
    from medexp.config.places import may_be_place

    if item not in overrides:
        return item  # an option
    if _key(item) == key:
        return item if _value(item).lower() in _NOTHING else f"{key}={_quoted(_value(item))}"
    if may_be_place(_key(item)) and _key(item) != "paths":
        return f"++{_key(item)}={_value(item)}"
    return item


def _quoted(text: str) -> str:
    if text[:1] in ("'", '"') or "${" in text:
        return text
    return "'" + text.replace("\\'", "\\\\'").replace("'", "\\'") + "'"
