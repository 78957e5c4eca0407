"""Turn a composed configuration into a typed one, or report everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from medexp.config.check import check_node
from medexp.config.schema import AugmentedDataConfig, DataConfig, DataShell, TrainConfig
from medexp.config.schema_compare import CompareConfig
from medexp.config.schema_promote import PromoteConfig
from medexp.config.schema_scripts import AuditScriptConfig, ReproduceConfig, SyncConfig
from medexp.config.schema_search import SearchConfig
from medexp.errors import ConfigError

Typed = TypeVar("Typed", bound=BaseModel)
SCHEMAS: dict[str, type[BaseModel]] = {"train": TrainConfig, "audit": AuditScriptConfig}
NODES = ("augmentation", "model", "loss", "optimizer", "schedule", "trainer", "logger")


def load(cfg: DictConfig) -> TrainConfig:
    """Return `cfg` typed and checked, as plain Python; no framework is imported, no data is read.

    Raises:
        ConfigError: lists every problem: missing values, unknown keys, wrong types, targets that do not
            exist or do not take a key, an augmentation label that is not the policy.
    """
    return _load(cfg, TrainConfig)


def load_audit(cfg: DictConfig) -> AuditScriptConfig:
    """Return the configuration of `scripts/audit.py`, typed and checked like a training's."""
    return _load(cfg, AuditScriptConfig)


def load_search(cfg: DictConfig) -> SearchConfig:
    """Return what `cfg.search` says of a multirun, typed and checked; the rest may still miss values that are swept."""
    try:
        return SearchConfig.model_validate(OmegaConf.to_container(cfg.search, resolve=True))
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).replace("\n", " ")) from error
    except ValidationError as error:
        raise ConfigError(report([f"search.{text}" for text in _shell_problems(error, set())])) from error


def load_data(cfg: DictConfig) -> DataConfig:
    """Return `cfg.data` alone, typed and checked like a training's."""
    try:
        plain = OmegaConf.to_container(cfg.data, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).replace("\n", " ")) from error
    return _load(OmegaConf.create({"data": plain}), DataShell).data


def values_of(schema: type[Typed], values: Mapping[str, Any], path: str) -> tuple[Typed | None, list[str]]:
    """Return `values` typed, or what is wrong with them, one line each; `path` is where they stand."""
    try:
        return schema.model_validate(values), []
    except ValidationError as error:
        return None, [f"{path}.{text}" for text in _shell_problems(error, set())]


def load_promote(cfg: DictConfig) -> PromoteConfig:
    """Return the configuration of `scripts/promote.py`, typed and checked (ConfigError lists every problem)."""
    return _load_shell(cfg, PromoteConfig, [str(key) for key in cfg if key != "hydra"])


def load_compare(cfg: DictConfig) -> CompareConfig:
    """Return the configuration of `scripts/compare.py`, typed and checked."""
    return _load_shell(cfg, CompareConfig, [str(key) for key in cfg if key != "hydra"])


def load_reproduce(cfg: DictConfig) -> ReproduceConfig:
    """Return the configuration of `scripts/reproduce.py`; places of the run that stand beside it are left out."""
    return _load_shell(cfg, ReproduceConfig, list(ReproduceConfig.model_fields))


def load_sync(cfg: DictConfig) -> SyncConfig:
    """Return the configuration of `scripts/sync.py`, typed and checked."""
    return _load_shell(cfg, SyncConfig, [str(key) for key in cfg if key != "hydra"])


def problems_of(cfg: DictConfig, name: str) -> list[str]:
    """Return what would be reported of the configuration of script `name`, one line each."""
    return _examine(cfg, SCHEMAS[name])[1] if name in SCHEMAS else []


def report(problems: Sequence[str]) -> str:
    """The text of a ConfigError: how many, then each, numbered."""
    count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
    return "\n".join([f"The configuration has {count}:", *(f"  {i}. {text}" for i, text in enumerate(problems, 1))])


def _load_shell(cfg: DictConfig, schema: type[Typed], keys: list[str]) -> Typed:
    try:
        return schema.model_validate(OmegaConf.to_container(OmegaConf.masked_copy(cfg, keys), resolve=True))
    except ValidationError as error:
        raise ConfigError(report(list(_shell_problems(error, set())))) from error


def _load(cfg: DictConfig, schema: type[Typed]) -> Typed:
    config, problems = _examine(cfg, schema)
    if problems or config is None:
        raise ConfigError(report(problems))
    return config


def _examine(cfg: DictConfig, schema: type[Typed]) -> tuple[Typed | None, list[str]]:
    try:
        plain = _plain(cfg)
    except OmegaConfBaseException as error:
        return None, [str(error).replace("\n", " ")]
    problems = [
        f"{key}: has no value yet. Override: {key}=..."
        for key in sorted(OmegaConf.missing_keys(cfg))
        if key.partition(".")[0] != "hydra"
    ]
    missing = {problem.partition(":")[0] for problem in problems}
    config: Typed | None = None
    try:
        config = schema.model_validate(plain)
    except ValidationError as error:
        problems += _shell_problems(error, missing)
    problems += [problem for problem in _node_problems(plain) if problem.partition(":")[0] not in missing]
    problems += _label_problems(plain)
    return config, problems


def _plain(cfg: DictConfig) -> dict[str, Any]:
    """Resolved Python containers, with the keys of the data source gathered under `data.source`."""
    masked = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    plain = OmegaConf.to_container(masked, resolve=True, throw_on_missing=False)
    assert isinstance(plain, dict)
    data = plain.get("data")
    if isinstance(data, dict):
        shell = {key: data[key] for key in data if key in AugmentedDataConfig.model_fields}
        source = {key: data[key] for key in data if key not in AugmentedDataConfig.model_fields}
        plain["data"] = {**shell, "source": source}
    return {str(key): value for key, value in plain.items()}


def _shell_problems(error: ValidationError, missing: set[str]) -> Iterator[str]:
    for item in error.errors(include_url=False):
        path = ".".join(str(part) for part in item["loc"])
        if path in missing:
            continue
        if item["type"] == "extra_forbidden":
            yield f"{path}: no such key, it would have no effect. Received: {item['input']!r}. Remove it."
        elif item["type"] == "missing":
            yield f"{path}: has no value. Override: {path}=..."
        else:
            text = item["msg"].removeprefix("Value error, ")
            received = "" if isinstance(item["input"], Mapping) else f" Received: {item['input']!r}."
            yield f"{path or 'together'}: {text[0].lower()}{text[1:]}.{received}"


def _node_problems(plain: Mapping[str, Any]) -> Iterator[str]:
    for name in NODES:
        node = plain.get(name)
        if isinstance(node, Mapping):
            yield from check_node(name, node)
    data = plain.get("data")
    if isinstance(data, Mapping):
        yield from check_node("data", data["source"])
    callbacks = plain.get("callbacks")
    yield from _callback_problems("callbacks", callbacks)
    finetuning = plain.get("finetuning")
    phases = finetuning.get("phases") if isinstance(finetuning, Mapping) else None
    for name, phase in phases.items() if isinstance(phases, Mapping) else ():
        patches = phase.get("callbacks") if isinstance(phase, Mapping) else None
        if isinstance(patches, Mapping) and isinstance(callbacks, Mapping):
            whole = {key: {**(callbacks.get(key) or {}), **patch} for key, patch in patches.items() if patch}
            yield from _callback_problems(f"finetuning.phases.{name}.callbacks", whole)


def _callback_problems(path: str, callbacks: Any) -> Iterator[str]:
    for name, node in callbacks.items() if isinstance(callbacks, Mapping) else ():
        if node is not None:
            yield from check_node(f"{path}.{name}", node if isinstance(node, Mapping) else {})


def _label_problems(plain: Mapping[str, Any]) -> Iterator[str]:
    if "augmentation" not in plain:
        return
    label = plain["data"].get("aug") if isinstance(plain.get("data"), Mapping) else None
    policy = plain["augmentation"].get("name") if isinstance(plain.get("augmentation"), Mapping) else None
    if label != policy:
        yield (
            f"data.aug: says {label!r}, but the policy composed is {policy!r}: a plain value changes the label only. "
            f"Received: data.aug={label}. In a config file write `- override /data.aug: {label}` in its defaults list; "
            f"on the command line data.aug={label} without + or ++."
        )
