"""Runs in MLflow, by explicit ids: no fluent stack, so that a parent and a child can both be open."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medexp.tracking.base import Child
from medexp.tracking.store import experiment_id, open_client, redacted, store_errors
from medexp.types import DataSpec

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)
OVERRIDES_TAG = "medexp.overrides"
MODEL_TAG = "medexp.model_id"
_LONGEST_PARAM = 6000
_PARAMS_PER_WRITE = 100


class MlflowTracker:
    """Opens runs in one experiment of one store.

    Args:
        uri: of a database (`sqlite:////absolute/path`, `postgresql://...`) or a tracking server (`http://...`).
        experiment: made on first use.
        artifacts: the folder for files where `uri` is a database; a server decides for itself.
    """

    def __init__(self, *, uri: str, experiment: str, artifacts: str) -> None:
        self._uri = uri
        self._experiment = experiment
        self._artifacts = artifacts

    @contextmanager
    def start(
        self, name: str, *, parent: str | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[MlflowRun]:
        """Open a run; close it FINISHED, FAILED after an exception, KILLED after Ctrl-C or SIGTERM."""
        client = open_client(self._uri)
        experiment = experiment_id(client, self._uri, self._experiment, self._artifacts)
        family = {"mlflow.parentRunId": parent} if parent else {}
        known = {key: redacted(value) for key, value in (tags or {}).items()}
        with store_errors(self._uri):
            created = client.create_run(experiment, run_name=redacted(name), tags={**known, **family})
        run = MlflowRun(client, self._uri, experiment, created.info.run_id)
        try:
            yield run
        except Exception:
            self._close(client, run.id, "FAILED")
            raise
        except BaseException:  # KeyboardInterrupt, SystemExit
            self._close(client, run.id, "KILLED")
            raise
        with store_errors(self._uri):
            client.set_terminated(run.id, status="FINISHED")

    def children(self, parent: str) -> tuple[Child, ...]:
        """The runs whose parent is `parent`, in the order they started."""
        client = open_client(self._uri)
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
                metrics=run.data.metrics,
            )
            for run in found
        )

    def where(self, run_id: str) -> str:
        """Say which experiment, and what shows it."""
        return f"make ui (of {redacted(self._uri)}), experiment {self._experiment!r}, run {run_id}"

    def _close(self, client: MlflowClient, run_id: str, status: str) -> None:
        """Close after a failure, which is what the user must see, even where the store is gone."""
        try:
            client.set_terminated(run_id, status=status)
        except Exception:
            logger.warning("run %s could not be closed as %s in %s", run_id, status, redacted(self._uri))


class MlflowRun:
    """One open run."""

    def __init__(self, client: MlflowClient, uri: str, experiment: str, run_id: str) -> None:
        self.id = run_id
        self._client = client
        self._uri = uri
        self._experiment = experiment

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters; passwords in URLs are left out, very long values are cut (config.yaml is whole)."""
        from mlflow.entities import Param

        entries = [Param(key, str(redacted(value))[:_LONGEST_PARAM]) for key, value in params.items()]
        with store_errors(self._uri):
            for start in range(0, len(entries), _PARAMS_PER_WRITE):
                self._client.log_batch(self.id, params=entries[start : start + _PARAMS_PER_WRITE])

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Record tags."""
        from mlflow.entities import RunTag

        with store_errors(self._uri):
            self._client.log_batch(self.id, tags=[RunTag(key, str(redacted(value))) for key, value in tags.items()])

    def log_metrics(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Record the metrics of one step; what is not a finite number is left out, SQL stores would alter it."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        entries = [Metric(key, float(value), now, step) for key, value in metrics.items() if math.isfinite(value)]
        with store_errors(self._uri):
            self._client.log_batch(self.id, metrics=entries)

    def log_data(self, data: DataSpec) -> None:
        """Record source, digests of data and split, classes, and counts per class and split as an MLflow input."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        facts = {
            "task": data.task,
            "classes": data.class_names,
            "positive": data.positive,
            "input": data.input.shape,
            "synthetic": data.synthetic,
            "split": data.split,
        }
        dataset = Dataset(
            name=data.name,
            digest=data.digest,
            source_type="local",
            source=json.dumps({"uri": data.source}),
            schema=json.dumps(facts),
            profile=json.dumps({"counts": data.counts}, default=dict),
        )
        with store_errors(self._uri):
            self._client.log_inputs(self.id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def log_files(self, path: Path, folder: str = "") -> None:
        """Copy a file, or what a folder holds, to the artifacts below `folder`."""
        with store_errors(self._uri):
            if path.is_dir():
                self._client.log_artifacts(self.id, str(path), folder or None)
            else:
                self._client.log_artifact(self.id, str(path), folder or None)

    def log_model(self, path: Path, *, params: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
        """Copy a model's folder into an MLflow LoggedModel of this run; return `models:/<model id>`."""
        from mlflow.entities import LoggedModelOutput, Metric, RunTag

        with store_errors(self._uri):
            model = self._client.create_logged_model(
                self._experiment,
                name="model",
                source_run_id=self.id,
                params={key: str(redacted(value)) for key, value in params.items()},
                model_type="classifier",
            )
            try:
                self._client.log_model_artifacts(model.model_id, str(path))
            except BaseException:
                self._client.finalize_logged_model(model.model_id, "FAILED")
                raise
            self._client.finalize_logged_model(model.model_id, "READY")
            self._client.log_outputs(self.id, [LoggedModelOutput(model.model_id, step=0)])
            now = int(time.time() * 1000)
            self._client.log_batch(
                self.id,
                metrics=[Metric(key, value, now, 0, model_id=model.model_id) for key, value in metrics.items()],
                tags=[RunTag(MODEL_TAG, model.model_id)],
            )
        return f"models:/{model.model_id}"
