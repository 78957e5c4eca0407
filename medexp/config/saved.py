"""Read back the configuration that a run recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from medexp.config.find_run import SAVED
from medexp.config.flatten import leaves, task_overrides
from medexp.config.load import load, report
from medexp.config.places import FILES, Moves, is_place
from medexp.config.schema import TrainConfig
from medexp.errors import ConfigError
from medexp.redact import redact

RESULT, ENVIRONMENT = "result.json", "environment.json"
_NO_PLACES = ("resume", "run", "accept")
_KEPT_OF_SWEEP = ("parent", "folds", "export")
_REDACTED = (":***@", "=***")


def load_saved(folder: Path, current: DictConfig, *, overrides: Sequence[str] | None = None) -> TrainConfig:
    """Return the configuration of the run in `folder`, typed and checked like one that Hydra composed.

    Everything is as it was recorded but for places: those that are overridden, those that follow a folder that was
    moved (the checkout, the outputs, the data sets), and URLs whose password was not recorded, which are taken from
    the current composition where it has the same but for the password. A job of a sweep is still its child, and of the
    same kind, but no trial: what is trained by hand is not told to the study.

    Args:
        folder: of the run.
        current: what Hydra composed now; only its places are read.
        overrides: of the command line; None for those of this Hydra program.

    Raises:
        ConfigError: lists overrides that would have no effect and passwords that are missing, or says which commit
            wrote a configuration that this medexp does not understand.
    """
    saved = _read(folder)
    flat = dict(leaves("", saved))
    now = _overridden(current, task_overrides() if overrides is None else overrides)
    problems = [problem for key in now if (problem := _problem(key, saved))]
    now = {key: value for key, value in now.items() if _problem(key, saved) is None}
    paths = _paths(folder, saved, current, now)
    plain = Moves({str(saved["paths"][name]): path for name, path in paths.items()}).apply(saved)
    plain["paths"] = paths
    for key, value in _made_absolute(plain, _environment(folder).get("working_directory")).items():
        _set(plain, key, value)
    for key, value in now.items():
        _set(plain, key, value)
    for name in ("uri", "artifacts"):  # the logger has them from `tracking`
        logged, said = f"logger.{name}", f"tracking.{name}"
        if said in now and logged not in now and logged in flat and flat[logged] == flat.get(said):
            _set(plain, logged, now[said])
    problems += _restore_passwords(plain, current)
    if problems:
        raise ConfigError(report(problems))
    return _loaded(plain, folder)


def _problem(key: str, saved: Mapping[str, Any]) -> str | None:
    """Why `key` cannot be overridden."""
    parent, _, name = key.rpartition(".")
    if not is_place(key, _select(saved, key)):
        return f"{key}: would have no effect, the run's own configuration stands. Remove it."
    siblings = _select(saved, parent) if parent else saved
    if name not in (siblings or {}):
        return f"{key}: the run has no such key. There is: {', '.join(siblings or {})}. Remove it."
    return None


def _read(folder: Path) -> dict[str, Any]:
    import yaml

    try:
        saved = yaml.safe_load((folder / SAVED).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(
            f"The configuration of the run cannot be read ({reason}). Received: {folder / SAVED}."
        ) from error
    if not isinstance(saved, dict) or not all(
        isinstance(saved.get(key), dict) for key in ("paths", "tracking", "data")
    ):
        raise ConfigError(f"The file is not the configuration of a training. Received: {folder / SAVED}.")
    for name in ("root", "outputs", "datasets"):
        saved["paths"].setdefault(name, "")
    if isinstance(saved.get("sweep"), dict):
        saved["sweep"] = {key: value for key, value in saved["sweep"].items() if key in _KEPT_OF_SWEEP}
    return saved


def _environment(folder: Path) -> dict[str, Any]:
    try:
        facts = json.loads((folder / ENVIRONMENT).read_text())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _overridden(current: DictConfig, overrides: Sequence[str]) -> dict[str, Any]:
    """The keys that the command line names, and what Hydra made of their values."""
    keys = [item.partition("=")[0].lstrip("+~") for item in overrides]
    keys = [key for key in keys if key not in _NO_PLACES and not key.startswith("hydra.")]
    if "paths" in keys:  # another option of the group
        keys = [key for key in keys if key != "paths"] + [f"paths.{name}" for name in current.paths]
    return {key: _select(current, key) for key in keys}


def _paths(folder: Path, saved: Mapping[str, Any], current: DictConfig, now: Mapping[str, Any]) -> dict[str, str]:
    """Where the three folders of `paths` are: outputs where the run is, the checkout where this program is."""
    root = str(_select(current, "paths.root"))
    beside = folder.parent.parent if folder.parent.name == "runs" else _select(current, "paths.outputs")
    old = saved["paths"]
    datasets = Moves({str(old["root"]): root}).apply(old["datasets"])
    if not datasets or not Path(datasets).exists():
        datasets = _select(current, "paths.datasets")
    found = {"root": root, "outputs": beside, "datasets": datasets}
    return {name: str(now.get(f"paths.{name}", path)) for name, path in found.items()}


def _made_absolute(plain: Mapping[str, Any], directory: str | None) -> dict[str, Any]:
    """Paths that were relative to the directory in which the run was started, if they are still there."""
    found: dict[str, Any] = {}
    for key in FILES:
        value = _select(plain, key)
        if directory and isinstance(value, str) and value and not value.startswith(("/", "~")):
            path = Path(directory) / value
            if path.exists():
                found[key] = str(path)
    return found


def _restore_passwords(plain: dict[str, Any], current: DictConfig) -> list[str]:
    problems = []
    recorded = plain["tracking"].get("uri")
    for key, value in leaves("", plain):
        if not isinstance(value, str) or not any(mark in value for mark in _REDACTED):
            continue
        candidates = [_select(current, key), *([plain["tracking"]["uri"]] if value == recorded else [])]
        whole = [c for c in candidates if isinstance(c, str) and c != value and redact(c) == value]
        if whole:
            _set(plain, key, whole[0])
        elif key != "logger.uri" or value != recorded:  # said once, of tracking.uri
            problems.append(f"{key}: the run did not record its password. Received: {value!r}. Override: {key}=...")
    return problems


def _loaded(plain: dict[str, Any], folder: Path) -> TrainConfig:
    try:
        return load(OmegaConf.create(plain))
    except ConfigError as error:
        commit = _environment(folder).get("git_commit")
        wrote = f"medexp at commit {commit}" if commit else "a medexp that was in no git repository"
        remedy = f" Use that one: git checkout {commit}" if commit else ""
        raise ConfigError(
            f"This medexp does not understand the configuration of run {folder.name}, which {wrote} wrote.{remedy}\n"
            f"{error}"
        ) from error


def _select(node: DictConfig | Mapping[str, Any], key: str) -> Any:
    """The resolved value of a dotted key; None where there is none."""
    if isinstance(node, DictConfig):
        try:
            value = OmegaConf.select(node, key, default=None)
        except OmegaConfBaseException as error:
            raise ConfigError(f"{key}: {str(error).partition(chr(10))[0]}") from error
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    value = node
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _set(plain: dict[str, Any], key: str, value: Any) -> None:
    *parents, name = key.split(".")
    for part in parents:
        plain = plain[part]
    plain[name] = value
