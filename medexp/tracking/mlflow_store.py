"""Send entries of journals to MLflow, by explicit run ids; sending one twice changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medexp.errors import MedexpError
from medexp.tracking.base import RefusedError, UnavailableError
from medexp.tracking.entry import DAMAGED, DATA, FILES, METRICS, MODEL, PARAMS, STATUS, TAGS, Entry
from medexp.tracking.refusal import is_outage, reason
from medexp.tracking.store import is_missing_file, open_client, redacted, store_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL_TAG = "medexp.model_id"
_RUN_TAG = "medexp.run_id"  # of a model: by it a model that was sent half is found again
_MOST = {PARAMS: 100, TAGS: 100, METRICS: 1000}  # in one request


class MlflowStore:
    """A database or tracking server that runs are sent to; it is reached on first use."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._opened: MlflowClient | None = None

    @property
    def uri(self) -> str:
        return str(redacted(self._uri))

    def status(self, run_id: str) -> str:
        """Return the run's status (TrackingError: no answer; UnavailableError: no such run, or a deleted one)."""
        from mlflow.exceptions import MlflowException

        client = self._client()
        with store_errors(self._uri):
            try:
                found = client.get_run(run_id)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                raise UnavailableError(f"{self.uri} has no run {run_id}") from error
        if found.info.lifecycle_stage != "active":
            raise UnavailableError(
                f"The run was deleted in {self.uri}. Restore it: mlflow runs restore --run-id {run_id}"
            )
        return str(found.info.status)

    def recorded(self, run_id: str) -> Sequence[Entry]:
        """Return the parameters and metrics of a run (TrackingError: no answer, or no such run)."""
        self.status(run_id)
        client = self._client()
        with store_errors(self._uri):
            run = client.get_run(run_id)
            points = [point for name in run.data.metrics for point in client.get_metric_history(run_id, name)]
        metrics = [
            Entry(METRICS, {"step": point.step, "metrics": {point.key: point.value}}, time=point.timestamp, sent=True)
            for point in points
        ]
        return [Entry(PARAMS, {"params": dict(run.data.params)}, time=run.info.start_time, sent=True), *metrics]

    def send(self, run_id: str, entries: Sequence[Entry], folder: Path) -> str | None:
        """Send one entry, or several of metrics; return the URI of a model."""
        kind = entries[0].kind
        if kind == METRICS:
            points = [point for entry in entries for point in _points(entry)]
            self._log(run_id, METRICS, points)
            return None
        (entry,) = entries
        data = entry.data
        if kind == PARAMS:
            from mlflow.entities import Param

            self._log(run_id, PARAMS, [Param(key, value) for key, value in data["params"].items()])
        elif kind == TAGS:
            from mlflow.entities import RunTag

            self._log(run_id, TAGS, [RunTag(key, value) for key, value in data["tags"].items()])
        elif kind == DATA:
            self._send_data(run_id, data)
        elif kind == FILES:
            self._send_files(run_id, _existing(folder / data["path"]), data["folder"])
        elif kind == MODEL:
            return self._send_model(run_id, _existing(folder / data["path"]), data, entry.time)
        elif kind == STATUS:
            self._send_status(run_id, data["status"], entry.time)
        elif kind == DAMAGED:
            raise RefusedError("a line of the journal cannot be read")
        else:
            raise RefusedError(f"unknown kind of entry {kind!r}")
        return None

    def _client(self) -> MlflowClient:
        if self._opened is None:
            self._opened = open_client(self._uri, create=False)
        return self._opened

    @contextmanager
    def _told_apart(self, run_id: str) -> Iterator[MlflowClient]:
        """Raise UnavailableError or RefusedError for whatever MLflow raises."""
        if is_missing_file(self._uri):  # SQLite would make an empty one
            raise UnavailableError(f"there is no such file: {self.uri}")
        try:
            yield self._client()
        except (UnavailableError, RefusedError):
            raise
        except Exception as error:  # MLflow, SQLAlchemy, requests and the drivers share no base class
            if is_outage(error):
                raise UnavailableError(reason(error)) from error
            try:
                self.status(run_id)
            except MedexpError as gone:
                raise UnavailableError(str(gone)) from error
            raise RefusedError(reason(error)) from error

    def _log(self, run_id: str, kind: str, items: Sequence[Any]) -> None:
        for start in range(0, len(items), _MOST[kind]):
            part = items[start : start + _MOST[kind]]
            try:
                self._log_batch(run_id, kind, part)
            except RefusedError:
                self._log_each(run_id, kind, part)

    def _log_each(self, run_id: str, kind: str, items: Sequence[Any]) -> None:
        """One that is refused must not keep the others back."""
        refused = []
        for item in items:
            try:
                self._log_batch(run_id, kind, [item])
            except RefusedError as error:
                refused.append(f"{item.key}: {error}")
        if refused:
            raise RefusedError("; ".join(refused))

    def _log_batch(self, run_id: str, kind: str, items: Sequence[Any]) -> None:
        with self._told_apart(run_id) as client:
            given: dict[str, Any] = {kind: items}
            client.log_batch(run_id, **given)

    def _send_data(self, run_id: str, data: Mapping[str, Any]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(source_type="local", **data)
        with self._told_apart(run_id) as client:
            client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def _send_files(self, run_id: str, path: Path, folder: str) -> None:
        with self._told_apart(run_id) as client:
            copy: Callable[..., None] = client.log_artifacts if path.is_dir() else client.log_artifact
            copy(run_id, str(path), folder or None)

    def _send_status(self, run_id: str, status: str, time: int) -> None:
        with self._told_apart(run_id) as client:
            if status == "RUNNING":
                client.update_run(run_id, status=status)
            else:
                client.set_terminated(run_id, status=status, end_time=time)

    def _send_model(self, run_id: str, path: Path, data: Mapping[str, Any], time: int) -> str:
        """Copy a model's folder into the one LoggedModel of this run; return `models:/<model id>`."""
        from mlflow.entities import LoggedModelOutput, Metric, RunTag

        with self._told_apart(run_id) as client:
            run = client.get_run(run_id)
            experiment = run.info.experiment_id
            known = client.search_logged_models([experiment], f"tags.`{_RUN_TAG}` = '{run_id}'", max_results=1)
            model = known[0] if known else client.create_logged_model(
                experiment, name="model", source_run_id=run_id, tags={_RUN_TAG: run_id},
                params=dict(data["params"]), model_type="classifier",
            )  # fmt: skip
            client.log_model_artifacts(model.model_id, str(path))
            client.finalize_logged_model(model.model_id, "READY")
            outputs = run.outputs.model_outputs if run.outputs else []
            if model.model_id not in {output.model_id for output in outputs}:
                client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
            times = data["times"]
            metrics = [
                Metric(key, float(value), times.get(key, time), 0, model_id=model.model_id)
                for key, value in data["metrics"].items()
            ]
            client.log_batch(run_id, metrics=metrics, tags=[RunTag(MODEL_TAG, model.model_id)])
        return f"models:/{model.model_id}"


def _points(entry: Entry) -> Iterator[Any]:
    """The finite numbers of an entry: SQL stores would alter others."""
    from mlflow.entities import Metric

    for key, value in entry.data["metrics"].items():
        if not isinstance(value, str):
            yield Metric(key, float(value), entry.time, entry.data["step"])


def _existing(path: Path) -> Path:
    if not path.exists():
        raise RefusedError(f"it is no longer there: {path}")
    return path
