"""Runs in one experiment of an MLflow store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from medexp.tracking.base import Child
from medexp.tracking.journalled_run import JournalledRun
from medexp.tracking.mlflow_store import MlflowStore
from medexp.tracking.recording import adopt_run, resume_run, start_run
from medexp.tracking.store import experiment_id, open_client, redacted, store_errors
from medexp.tracking.sweeps import STUDY
from medexp.tracking.system_metrics import PREFIX
from medexp.types import Objective

if TYPE_CHECKING:
    from mlflow.entities import Run

OVERRIDES_TAG, STATE_TAG, TRIAL_TAG = "medexp.overrides", "medexp.trial.state", "medexp.trial.number"
_PAGE = 10_000


class MlflowTracker:
    """Opens runs in one experiment of one store.

    Args:
        uri: of a database (`sqlite:////absolute/path`, `postgresql://...`) or a tracking server (`http://...`).
        experiment: made on first use.
        artifacts: the folder for files where `uri` is a database; a server decides for itself.
        system_metrics_seconds: between samples of what the machine does; None: no samples.
    """

    def __init__(
        self, *, uri: str, experiment: str, artifacts: str, system_metrics_seconds: float | None = None
    ) -> None:
        self._uri = uri
        self._experiment = experiment
        self._artifacts = artifacts
        self._monitor_every = system_metrics_seconds

    @contextmanager
    def start(
        self, name: str, *, below: Path, parent: str | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[JournalledRun]:
        """Open a new run in the folder `below`/<run id> (TrackingError: the store does not answer)."""
        client = open_client(self._uri)
        experiment = experiment_id(client, self._uri, self._experiment, self._artifacts)
        family = {"mlflow.parentRunId": parent} if parent else {}
        known = {key: redacted(value) for key, value in (tags or {}).items()}
        with store_errors(self._uri):
            created = client.create_run(experiment, run_name=redacted(name), tags={**known, **family})
        store = MlflowStore(self._uri)
        with start_run(store, created.info.run_id, below=below, monitor_every=self._monitor_every) as run:
            yield run

    def resume(self, folder: Path) -> AbstractContextManager[JournalledRun]:
        """Open the run in `folder` again, under its id (TrackingError: it cannot be)."""
        open_client(self._uri, create=False)
        return resume_run(MlflowStore(self._uri), folder, monitor_every=self._monitor_every)

    def adopt(self, run_id: str, *, below: Path) -> AbstractContextManager[JournalledRun]:
        """Open a run that another process made, here in `below`/<run id> (TrackingError: it cannot be)."""
        open_client(self._uri, create=False)
        return adopt_run(MlflowStore(self._uri), run_id, below=below, monitor_every=self._monitor_every)

    def children(self, parent: str, *, best: Objective | None = None, most: int | None = None) -> tuple[Child, ...]:
        """The runs whose parent is `parent`.

        Args:
            parent: the id of the parent run.
            best: sorts by the last value of this metric, the best first and those without it last; None: in the order
                they started.
            most: how many; None: all.
        """
        client = open_client(self._uri, create=False)
        experiment = experiment_id(client, self._uri, self._experiment, self._artifacts)
        started = "attributes.start_time ASC"
        by = [f"metrics.`{best.metric}` {'DESC' if best.mode == 'max' else 'ASC'}", started] if best else [started]
        found: list[Child] = []
        token: str | None = None
        with store_errors(self._uri):
            while most is None or len(found) < most:
                page = client.search_runs(
                    [experiment],
                    f"tags.`mlflow.parentRunId` = '{parent}'",
                    order_by=by,
                    max_results=_PAGE if most is None else min(most - len(found), _PAGE),
                    page_token=token,
                )
                found += [_child(run) for run in page]
                token = page.token
                if not token:
                    break
        return tuple(found)

    def runs(self, run_ids: Sequence[str]) -> tuple[Child, ...]:
        """These runs, in this order, one that the store does not have left out. In a large store it beats a search."""
        from mlflow.exceptions import MlflowException

        client = open_client(self._uri, create=False)
        found: list[Child] = []
        with store_errors(self._uri):
            for run_id in run_ids:
                try:
                    found.append(_child(client.get_run(run_id)))
                except MlflowException as error:
                    if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                        raise
        return tuple(found)

    def tagged(self, key: str, value: str) -> str | None:
        """The id of the first run with this tag; None where there is none."""
        client = open_client(self._uri)
        experiment = experiment_id(client, self._uri, self._experiment, self._artifacts)
        with store_errors(self._uri):
            found = client.search_runs(
                [experiment], f"tags.`{key}` = '{value}'", order_by=["attributes.start_time ASC"], max_results=1
            )
        return str(found[0].info.run_id) if found else None

    def where(self, run_id: str) -> str:
        """Say which experiment, and what shows it."""
        return f"make ui (of {redacted(self._uri)}), experiment {self._experiment!r}, run {run_id}"


def _child(run: Run) -> Child:
    tags = run.data.tags
    number = tags.get(TRIAL_TAG, "")
    return Child(
        run_id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status,
        overrides=tags.get(OVERRIDES_TAG, ""),
        metrics={key: value for key, value in run.data.metrics.items() if not key.startswith(PREFIX)},
        state=tags.get(STATE_TAG, ""),
        trial=int(number) if number.isdigit() else None,
        params=run.data.params,
        study=tags.get(STUDY, ""),
    )
