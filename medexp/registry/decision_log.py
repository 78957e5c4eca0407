"""Decisions as runs of kind `promotion` in the experiment of the candidates."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medexp.registry.decision import Decision

if TYPE_CHECKING:
    from mlflow import MlflowClient

FILE = "decision.json"
_KIND, _MODEL, _ACTION = "medexp.kind", "medexp.promotion.model", "medexp.promotion.action"
_OUTCOME, _ALIAS, _RUN = "medexp.promotion.outcome", "medexp.promotion.alias", "medexp.promotion.run"
_VERSION, _HISTORY, _DATA = "medexp.promotion.version", "medexp.promotion.history", "medexp.promotion.data_digest"


@dataclass(frozen=True)
class Begun:
    """A decision whose writing may have been interrupted."""

    id: str
    action: str
    alias: str
    run_id: str
    version: str | None
    history: tuple[str, ...]


class DecisionLog:
    """Writes decisions, and finds those that were begun and not ended.

    Args:
        client: of the store.
        experiment: id of the experiment.
        model_name: in the registry.
    """

    def __init__(self, client: MlflowClient, experiment: str, model_name: str) -> None:
        self._client = client
        self._experiment = experiment
        self._name = model_name

    def begin(self, decision: Decision) -> Begun:
        """Open a run that says what is about to be done, before it is; then its record."""
        tags = {
            _KIND: "promotion",
            _MODEL: self._name,
            _ACTION: decision.action,
            _ALIAS: decision.alias,
            _RUN: decision.run_id,
            _VERSION: decision.version or "",
            _HISTORY: " ".join(decision.history),
            _DATA: str(decision.evidence.get("data", {}).get("digest", "")),
            _OUTCOME: decision.outcome,
            "mlflow.user": decision.who.partition("@")[0],
            "mlflow.source.name": "scripts/promote.py",
            "mlflow.source.type": "LOCAL",
        }
        name = f"{decision.action} {self._name} {decision.alias}"
        created = self._client.create_run(self._experiment, run_name=name, tags=tags)
        begun = _begun(created)
        self.write(begun, decision)
        return begun

    def write(self, begun: Begun, decision: Decision) -> None:
        """Write the record, or write it again."""
        self._client.log_dict(begun.id, asdict(decision), FILE)

    def end(self, begun: Begun, outcome: str, *, version: str | None = None) -> None:
        """Close the run: its record, its tag, its status; repeating it changes nothing."""
        record = self.read(begun.id)
        changed = {"outcome": outcome} | ({} if version is None else {"version": version})
        self._client.log_dict(begun.id, {**record, **changed}, FILE)
        if version is not None:
            self._client.set_tag(begun.id, _VERSION, version)
        self._client.set_terminated(begun.id, "FINISHED" if outcome == "done" else "KILLED")
        self._client.set_tag(begun.id, _OUTCOME, outcome)  # last: until here the same command goes on

    def read(self, decision_id: str) -> dict[str, Any]:
        """Return the record of a decision; empty where it was interrupted before it was written."""
        if FILE not in {item.path for item in self._client.list_artifacts(decision_id)}:
            return {}
        with tempfile.TemporaryDirectory() as folder:
            text = Path(self._client.download_artifacts(decision_id, FILE, folder)).read_text()
        try:
            return dict(json.loads(text))
        except ValueError:  # killed while it was written
            return {}

    def open(self) -> tuple[Begun, ...]:
        """Decisions of this model that were begun and not ended, the oldest first."""
        return tuple(_begun(run) for run in self._search(f"tags.`{_OUTCOME}` = 'begun'"))

    def judged(self, digest: str) -> int:
        """How many decisions were made on this version of a data set."""
        return sum(1 for _ in self._search(f"tags.`{_DATA}` = '{digest}' and tags.`{_ACTION}` = 'promote'"))

    def _search(self, condition: str) -> Iterator[Any]:
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                f"tags.`{_KIND}` = 'promotion' and tags.`{_MODEL}` = '{self._name}' and {condition}",
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return


def _begun(run: Any) -> Begun:
    tags = run.data.tags
    return Begun(
        id=run.info.run_id,
        action=tags[_ACTION],
        alias=tags[_ALIAS],
        run_id=tags[_RUN],
        version=tags[_VERSION] or None,
        history=tuple(tags[_HISTORY].split()),
    )
