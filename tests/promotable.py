"""Finished runs with a model in a real store, for tests of promotion."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medexp.registry.candidates import Candidates
from medexp.registry.decision import Decision
from medexp.registry.promotion import Promotion
from medexp.types import DataSpec, InputSpec, Mode, Objective

DATA = DataSpec(
    name="chest",
    task="binary",
    class_names=("normal", "pneumonia"),
    input=InputSpec(28, 28, 1),
    counts={"train": {"normal": 1, "pneumonia": 1}},
    digest="aaaa",
    source="somewhere",
)
STORE: dict[str, Any] = {"experiment": "medexp", "model_name": "medexp"}


def empty_store(folder: Path) -> Path:
    """A database with MLflow's schema, which takes seconds to make: copy it."""
    from medexp.tracking.store import open_client

    open_client(f"sqlite:///{folder / 'template.db'}")
    return folder / "template.db"


def store_from(template: Path, folder: Path) -> str:
    """The URI of a copy of `template` in `folder`."""
    shutil.copyfile(template, folder / "mlflow.db")
    return f"sqlite:///{folder}/mlflow.db"


def record(
    uri: str,
    score: float,
    *,
    data: DataSpec = DATA,
    parent: str | None = None,
    model: bool = True,
    tags: Mapping[str, str] | None = None,
) -> str:
    """A finished run whose model has a bundle, of which only the name of a file is there."""
    from medexp.tracking.mlflow_tracker import MlflowTracker

    folder = Path(uri.removeprefix("sqlite:///")).parent
    tracker = MlflowTracker(uri=uri, experiment="medexp", artifacts=str(folder / "files"))
    with tracker.start("run", below=folder / "runs", parent=parent, tags=tags) as run:
        run.log_data(data)
        run.log_metrics({"best_val_auc": score, "val_auc": 0.5, "test_auc": score - 0.1}, step=1)
        if model:
            bundle = folder / "flavor" / run.id / "bundle"
            bundle.mkdir(parents=True)
            (bundle / "passport.json").write_text("{}")
            run.log_model(bundle.parent, params={}, metrics={"best_val_auc": score})
    return run.id


def candidates(uri: str, mode: Mode = "max") -> Candidates:
    return Candidates(uri=uri, **STORE, objective=Objective("val_auc", mode))


def promotion(uri: str) -> Promotion:
    return Promotion(uri=uri, **STORE)


def decided(action: Any, run_id: str, history: tuple[str, ...], **changes: Any) -> Decision:
    """A decision that gates have let pass."""
    return Decision(
        **{
            "action": action,
            "model_name": "medexp",
            "alias": "champion",
            "run_id": run_id,
            "version": None,
            "history": history,
            "outcome": "begun",
            "who": "someone@somewhere",
            "when": "2026-01-01T00:00:00+00:00",
            "command": ("promote.py",),
            "commit": None,
            "evidence": {"data": {"digest": "aaaa"}},
            **changes,
        }
    )


def appoint(uri: str, run: str | None = None, *, alias: str = "champion", **choice: Any) -> str:
    """Carry out the promotion of a run, or of the best one, as `apply=true` does once the gates have let it pass."""
    proposal = candidates(uri).propose(run=run, **choice)
    acting = promotion(uri)
    decision = decided("promote", proposal.candidate.run_id, acting.history(), alias=alias)
    return acting.apply(decision, proposal.candidate)


def go_back(uri: str) -> str:
    """Roll back, as `rollback=true` does once the bundle is verified."""
    acting = promotion(uri)
    back = acting.back()
    return acting.roll_back(decided("rollback", back.run_id, back.history, version=back.version))


def aliases(uri: str) -> dict[str, str]:
    """Which run each alias stands for."""
    from medexp.tracking.store import open_client

    client = open_client(uri, create=False)
    return {alias: client.get_model_version("medexp", v).run_id for alias, v in promotion(uri).aliases().items()}


def decisions(uri: str) -> list[tuple[str, str, str]]:
    """Action, outcome and MLflow's status of every decision, the oldest first."""
    from medexp.tracking.store import open_client

    client = open_client(uri, create=False)
    experiment = client.get_experiment_by_name("medexp").experiment_id
    found = client.search_runs([experiment], "tags.`medexp.kind` = 'promotion'", order_by=["attributes.start_time ASC"])
    tags = "medexp.promotion.action", "medexp.promotion.outcome"
    return [(*(run.data.tags[tag] for tag in tags), run.info.status) for run in found]
