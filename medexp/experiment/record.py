"""Record what was asked for, before anything can go wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medexp.config.flatten import as_composed, flatten, task_overrides
from medexp.config.schema import TrainConfig
from medexp.config.schema_scripts import AuditScriptConfig
from medexp.tracking.base import Run
from medexp.tracking.code_state import code_patch
from medexp.tracking.environment import environment
from medexp.tracking.store import redacted
from medexp.training.whole_file import write_whole

CONFIG, ENVIRONMENT, PATCH = "config.yaml", "environment.json", "code.patch"


def source_tags(script: str) -> dict[str, str]:
    """Return the tags that say which command opened a run."""
    return {
        "medexp.overrides": " ".join(task_overrides()),
        "mlflow.source.name": script,
        "mlflow.source.type": "LOCAL",
    }


def record(config: TrainConfig | AuditScriptConfig, run: Run, folder: Path) -> None:
    """Write `config.yaml`, `environment.json` and, where the code differs from its commit, `code.patch`.

    Parameters, versions, commit, host and seed are logged. `environment.json` is written last: where it is, nothing of
    all this is missing, whenever the process was killed; repeating it changes nothing.
    """
    import yaml

    text = yaml.safe_dump(_redacted(as_composed(config)), sort_keys=False)
    write_whole(folder / CONFIG, lambda file: file.write(text.encode()))
    ignore = no_code(config)
    facts = {
        "run_id": run.id,
        "seed": config.seed,
        "deterministic": config.runtime.deterministic,
        "config": hashlib.sha256(text.encode()).hexdigest(),
        **environment(config.paths.root, ignore=ignore),
    }
    run.log_files(folder / CONFIG)
    if facts["git_dirty"] and (patch := code_patch(config.paths.root, ignore=ignore)):
        (folder / PATCH).write_bytes(redacted(patch).encode(errors="surrogateescape"))
        run.log_files(folder / PATCH)
    run.log_params(flatten(config))
    tags = {"medexp.seed": str(config.seed), "medexp.host": facts["host"], "mlflow.user": facts["user"]}
    if facts["git_commit"]:
        tags["mlflow.source.git.commit"] = facts["git_commit"]
        tags["medexp.git_dirty"] = str(facts["git_dirty"]).lower()
    versions = {f"medexp.version.{name}": version for name, version in facts["versions"].items()}
    run.log_tags({**tags, **versions})
    described = json.dumps(_redacted(facts), indent=2) + "\n"
    write_whole(folder / ENVIRONMENT, lambda file: file.write(described.encode()))
    run.log_files(folder / ENVIRONMENT)


def no_code(config: TrainConfig | AuditScriptConfig) -> tuple[Path, ...]:
    """The folders that a run writes or reads data from: what is in them is no change of the code."""
    return (config.paths.outputs, config.paths.datasets, config.data.cache.folder)


def _redacted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _redacted(child) for key, child in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_redacted(child) for child in value]
    return redacted(value)
