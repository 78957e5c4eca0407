"""Runs by what a person remembers of them, and their files: in folders here, or in the store."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from medexp.config.find_run import SHORTEST
from medexp.errors import ConfigError, RegistryError, TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)
BUNDLE = "bundle"
_BELOW = ("runs", "evaluations")
_ID = re.compile(r"[0-9a-f]+")
_SHOWN = 5


class RunFiles:
    """Finds runs, their files and the bundles of their models. What is not here is fetched once, into `scratch`.

    Args:
        outputs: below which runs have their folders.
        uri: of the tracking store; it is asked only for what is not here, and need not be there.
        scratch: a folder for what is fetched; it stays while the files are used.
    """

    def __init__(self, *, outputs: Path, uri: str, scratch: Path) -> None:
        self._outputs = outputs
        self._uri = uri
        self._scratch = scratch
        self._folders: dict[str, Path] = {}
        self._client: MlflowClient | None = None
        self._unreachable: TrackingError | None = None

    def resolve(self, name: str) -> str:
        """Return the id of a run: given whole, by its beginning, or by its folder.

        Raises:
            ConfigError: there is no such run, or the beginning fits several.
        """
        path = Path(name).expanduser()
        if "/" in name:
            if not path.is_dir():
                raise ConfigError(f"runs: should be run ids or folders of runs. Received: {name}, which is no folder.")
            self._folders[path.name] = path.absolute()
            return path.name
        here = self._here()
        if name in here:
            return name
        if len(name) < SHORTEST:
            raise ConfigError(
                f"runs: needs at least {SHORTEST} characters of an id. Received: {name!r}.{_latest(here)}"
            )
        found = [run for run in here if run.startswith(name)] or self._stored(name)
        if len(found) > 1:
            raise ConfigError(f"runs: {len(found)} runs begin so. Received: {name!r}. They are: {', '.join(found)}")
        if not found:
            unreachable = f" The store was not asked: {self._unreachable}" if self._unreachable else ""
            raise ConfigError(
                f"runs: Unknown run. Received: {name!r}, looked for below {self._outputs} and in the store."
                f"{_latest(here)}{unreachable}"
            )
        return found[0]

    def find(self, run_id: str, name: str) -> Path | None:
        """Return a file of a run, such as `predictions/test.csv`; None where it has none.

        Raises:
            TrackingError: the store broke off while it was asked.
        """
        folders = [self._folders[run_id]] if run_id in self._folders else []
        for folder in (*folders, *(self._outputs / below / run_id for below in _BELOW)):
            if (folder / name).is_file():
                return folder / name
        client = self._opened()
        if client is None:
            return None
        from medexp.tracking.store import store_errors

        with store_errors(self._uri):
            if not _exists(client, run_id):
                return None
            parent = name.rpartition("/")[0]
            if name not in {item.path for item in client.list_artifacts(run_id, parent or None)}:
                return None
            into = self._scratch / "runs" / run_id
            into.mkdir(parents=True, exist_ok=True)
            return Path(client.download_artifacts(run_id, name, str(into)))

    def bundle(self, model_id: str) -> Path:
        """Return the bundle of a model as the service would fetch it: from the store, never from a folder here.

        Raises:
            RegistryError: the model has none, or its files cannot be reached.
            TrackingError: the store cannot be reached.
        """
        client = self._opened()
        if client is None:
            assert self._unreachable is not None
            raise self._unreachable
        import mlflow.artifacts

        try:
            location = client.get_logged_model(model_id).artifact_location
            into = self._scratch / "models" / model_id
            into.mkdir(parents=True, exist_ok=True)
            return Path(
                mlflow.artifacts.download_artifacts(
                    artifact_uri=f"{location}/{BUNDLE}", dst_path=str(into), tracking_uri=self._uri
                )
            )
        except Exception as error:  # MLflow, SQLAlchemy, requests and the drivers share no base class
            reason = str(error).strip().partition("\n")[0][:300]
            raise RegistryError(
                f"The model's bundle cannot be fetched ({type(error).__name__}: {reason}). "
                f"Received: models:/{model_id}."
            ) from error

    def _here(self) -> list[str]:
        """Ids of runs with a folder here, the latest first."""
        folders = [folder for below in _BELOW for folder in (self._outputs / below).glob("*") if folder.is_dir()]
        return [folder.name for folder in sorted(folders, key=lambda folder: -folder.stat().st_mtime)]

    def _stored(self, name: str) -> list[str]:
        client = self._opened()
        if client is None or not _ID.fullmatch(name):
            return []
        from medexp.tracking.store import store_errors

        with store_errors(self._uri):
            experiments = [experiment.experiment_id for experiment in client.search_experiments()]
            page = client.search_runs(experiments, f"attributes.run_id LIKE '{name}%'", max_results=_SHOWN)
            return [run.info.run_id for run in page]

    def _opened(self) -> MlflowClient | None:
        """A client of the store; None where it cannot be reached, which is tried once."""
        if self._client is None and self._unreachable is None:
            from medexp.tracking.store import open_client

            os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
            try:
                self._client = open_client(self._uri, create=False)
            except TrackingError as error:
                logger.info("runs are looked for in folders only: %s", error)
                self._unreachable = error
        return self._client


@contextmanager
def run_files(*, outputs: Path, uri: str) -> Iterator[RunFiles]:
    """While it lasts, what was fetched from the store stays."""
    with TemporaryDirectory(prefix="medexp-runs-") as scratch:
        yield RunFiles(outputs=outputs, uri=uri, scratch=Path(scratch))


def _exists(client: MlflowClient, run_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return True


def _latest(here: list[str]) -> str:
    return f" The latest: {', '.join(here[:_SHOWN])}." if here else ""
