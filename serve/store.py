"""The MLflow registry, read only: which version is the champion, and its files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from medexp.errors import RegistryError
from medexp.redact import redact
from serve.errors import FIRST_STEPS, NoChampionError, StoreUnavailableError
from serve.schema import require_schema
from serve.version import Version

if TYPE_CHECKING:
    from mlflow import MlflowClient

BUNDLE_FOLDER = "bundle"
_SOURCE = re.compile(r"models:/(m-[0-9a-zA-Z]+)")
_ENVIRONMENT = {
    "MLFLOW_CONFIGURE_LOGGING": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",  # a kept connection reads on in a database that was replaced
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the default waits minutes for a dead server
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
}


class ModelStore:
    """Reads one registered model's alias. Every call may block on the network: not for the event loop.

    Args:
        uri: of a database or a tracking server; never created or migrated.
        name: of the registered model.
        alias: of the version to serve.
    """

    def __init__(self, *, uri: str, name: str, alias: str) -> None:
        self._uri = uri
        self._name = name
        self._alias = alias

    def resolve(self) -> Version:
        """Return the version that the alias names now.

        Raises:
            NoChampionError: the store answers, and there is no such model or alias.
            StoreUnavailableError: the store does not answer, or there is none yet.
            RegistryError: the version was not made by scripts/promote.py.
        """
        try:
            _prepare_mlflow()
            require_schema(self._uri)
            found = self._client().get_model_version_by_alias(self._name, self._alias)
        except StoreUnavailableError:
            raise
        except Exception as error:  # MLflow, SQLAlchemy, requests and the drivers share no base class
            if getattr(error, "error_code", None) in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise NoChampionError(
                    f"No version of the model {self._name!r} has the alias {self._alias!r}. {FIRST_STEPS}"
                ) from None
            raise StoreUnavailableError(
                f"The tracking store does not answer ({type(error).__name__}: {_first_line(error)}). "
                f"Received: tracking_uri={redact(self._uri)}."
            ) from error
        source = _SOURCE.fullmatch(found.source or "")
        if source is None:
            raise RegistryError(
                f"The version was not registered by medexp. Received: {self._name} version {found.version} with "
                f"source {found.source}, expected models:/<model id>. {FIRST_STEPS}"
            )
        return Version(self._name, str(found.version), self._alias, source[1])

    def download(self, version: Version, folder: Path) -> Path:
        """Copy the bundle of `version`, and nothing else of the model, into `folder`; return the bundle's folder.

        Raises:
            RegistryError: the model has no bundle, or its files cannot be reached.
        """
        try:
            import mlflow.artifacts

            location = self._client().get_logged_model(version.model_id).artifact_location
            return Path(
                mlflow.artifacts.download_artifacts(
                    artifact_uri=f"{location}/{BUNDLE_FOLDER}", dst_path=str(folder), tracking_uri=self._uri
                )
            )
        except Exception as error:  # as above
            raise RegistryError(
                f"The files of {version.name} version {version.number} cannot be fetched "
                f"({type(error).__name__}: {_first_line(error)}). Received: models:/{version.model_id}/{BUNDLE_FOLDER}."
            ) from error

    def _client(self) -> MlflowClient:
        _prepare_mlflow()
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)


def _first_line(error: Exception) -> str:
    return redact(str(error)).strip().partition("\n")[0][:300]


def _prepare_mlflow() -> None:
    """MLflow reads these when it is imported; what the user has set stays."""
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
