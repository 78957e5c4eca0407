"""Runs in one experiment of an MLflow store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from medexp.tracking.base import Child
from medexp.tracking.journalled_run import JournalledRun
from medexp.tracking.mlflow_store import MlflowStore
from medexp.tracking.recording import resume_run, start_run
from medexp.tracking.store import experiment_id, open_client, redacted, store_errors
from medexp.tracking.system_metrics import PREFIX

OVERRIDES_TAG = "medexp.overrides"


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

    def children(self, parent: str) -> tuple[Child, ...]:
        """The runs whose parent is `parent`, in the order they started, without what their machines did."""
        client = open_client(self._uri, create=False)
        experiment = experiment_id(client, self._uri, self._experiment, self._artifacts)
        with store_errors(self._uri):
            found = client.search_runs(
                [experiment],
                f"tags.`mlflow.parentRunId` = '{parent}'",
                order_by=["attributes.start_time ASC"],
                max_results=10_000,
            )
        return tuple(
            Child(
                run_id=run.info.run_id,
                name=run.info.run_name,
                status=run.info.status,
                overrides=run.data.tags.get(OVERRIDES_TAG, ""),
                metrics={key: value for key, value in run.data.metrics.items() if not key.startswith(PREFIX)},
            )
            for run in found
        )

    def where(self, run_id: str) -> str:
        """Say which experiment, and what shows it."""
        return f"make ui (of {redacted(self._uri)}), experiment {self._experiment!r}, run {run_id}"
