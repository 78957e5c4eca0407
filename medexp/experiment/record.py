"""Record what was asked for, before anything can go wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medexp.config.flatten import as_composed, flatten, task_overrides
from medexp.config.schema import AuditScriptConfig, TrainConfig
from medexp.tracking.base import Run
from medexp.tracking.environment import environment
from medexp.tracking.store import redacted


def source_tags(script: str) -> dict[str, str]:
    """Return the tags that say which command opened a run."""
    return {
        "medexp.overrides": " ".join(task_overrides()),
        "mlflow.source.name": script,
        "mlflow.source.type": "LOCAL",
    }


def record(config: TrainConfig | AuditScriptConfig, run: Run, folder: Path) -> None:
    """Write `config.yaml` and `environment.json`, and log parameters, versions, commit, host and seed."""
    import yaml

    text = yaml.safe_dump(_redacted(as_composed(config)), sort_keys=False)
    (folder / "config.yaml").write_text(text)
    facts = {"run_id": run.id, "seed": config.seed, **environment(config.paths.root)}
    (folder / "environment.json").write_text(json.dumps(_redacted(facts), indent=2) + "\n")
    run.log_params(flatten(config))
    tags = {"medexp.seed": str(config.seed), "medexp.host": facts["host"], "mlflow.user": facts["user"]}
    if facts["git_commit"]:
        tags["mlflow.source.git.commit"] = facts["git_commit"]
        tags["medexp.git_dirty"] = str(facts["git_dirty"]).lower()
    versions = {f"medexp.version.{name}": version for name, version in facts["versions"].items()}
    run.log_tags({**tags, **versions})
    for name in ("config.yaml", "environment.json"):
        run.log_files(folder / name)


def _redacted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _redacted(child) for key, child in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_redacted(child) for child in value]
    return redacted(value)
