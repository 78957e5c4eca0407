"""Find every command-line override that Hydra would refuse; Hydra itself stops at the first."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from medexp.errors import ConfigError, unknown

_OTHER_TASKS = ("help", "hydra_help", "version", "cfg", "info", "shell_completion")
_OTHER_FILES = ("config_path", "config_dir", "config_name")


def check_overrides(conf: Path, name: str, arguments: Sequence[str] | None = None) -> None:
    """Raise a ConfigError that lists each unknown key and option, and whatever else is wrong beside them.

    Does nothing where Hydra will accept all keys (`load` then reports on values), or where the command line is
    not a run (`--help`, `--cfg` ...).

    Args:
        conf: the folder of the configuration.
        name: of the primary file.
        arguments: the command line; None for this process's own.
    """
    from hydra._internal.utils import get_args_parser

    parsed, _ = get_args_parser().parse_known_args(list(sys.argv[1:] if arguments is None else arguments))
    if not parsed.overrides or any(getattr(parsed, flag, None) for flag in (*_OTHER_TASKS, *_OTHER_FILES)):
        return
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep, Glob, QuotedString
    from hydra.errors import HydraException

    from medexp.config.load import report

    with initialize_config_dir(str(conf), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        try:
            overrides = OverridesParser.create(config_loader=loader).parse_overrides(parsed.overrides)
        except HydraException:
            return  # a matter of grammar: Hydra's own message points at the place
        if any(override.key_or_group == "hydra.searchpath" for override in overrides):
            return  # options from elsewhere
        problems: list[str] = []
        choices, values = [], []
        for override in overrides:
            key = override.key_or_group
            options = loader.get_group_options(key)
            if not options:
                values.append(override)
                continue
            value = override.value()
            wanted = value.list if isinstance(value, ChoiceSweep) else [value]
            names = [v.text if isinstance(v, QuotedString) else v for v in wanted]
            unavailable = [v for v in names if v not in options and not isinstance(v, list | Glob)]
            problems += [f"{key}: {unknown('option', v, options)}" for v in unavailable]
            if not unavailable and not override.is_sweep_override():
                choices.append(override)
        try:
            composed = compose(name, overrides=[str(choice.input_line) for choice in choices])
        except HydraException:
            return
        wrong = [
            override
            for override in values
            if not override.is_add() and not override.is_force_add() and not _has(composed, override.key_or_group)
        ]
        problems += [_no_such_key(composed, override.key_or_group) for override in wrong]
        if not problems:
            return
        rest = [o for o in values if o not in wrong and not o.is_sweep_override() and not o.is_hydra_override()]
        problems += _other_problems(name, [str(override.input_line) for override in [*choices, *rest]])
    raise ConfigError(report(problems))


def _has(cfg: DictConfig, key: str) -> bool:
    if key.startswith("hydra."):
        return True
    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(cfg, parent) if parent else cfg
    return isinstance(node, DictConfig) and leaf in node.keys()  # noqa: SIM118  `in` would follow interpolations


def _no_such_key(cfg: DictConfig, key: str) -> str:
    keys = list(_keys(cfg))
    near = difflib.get_close_matches(key, keys, n=1) or [k for k in keys if k.endswith(f".{key}")][:1]
    parent = key.rpartition(".")[0]
    siblings = [k for k in keys if k.rpartition(".")[0] == parent]
    there = siblings or [str(name) for name in cfg]
    hint = f"Did you mean {near[0]}?" if near else f"There is: {', '.join(there)}."
    return f"{key}: no such key. {hint}"


def _keys(cfg: DictConfig, prefix: str = "") -> Iterator[str]:
    for key in cfg:
        child = cfg._get_node(key)
        if isinstance(child, DictConfig):
            yield from _keys(child, f"{prefix}{key!s}.")
        yield f"{prefix}{key!s}"


def _other_problems(name: str, overrides: Sequence[str]) -> list[str]:
    from hydra import compose
    from hydra.errors import HydraException

    from medexp.config.load import problems_of

    try:
        return problems_of(compose(name, overrides=list(overrides)), name)
    except HydraException:
        return []
