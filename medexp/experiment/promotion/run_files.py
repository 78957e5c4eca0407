"""Files of a run, wherever they are: in its folder here, or among its artifacts in the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medexp.errors import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_BELOW = ("runs", "evaluations")
BUNDLE = "bundle"


class RunFiles:
    """Finds files of runs, and the bundles of their models.

    Args:
        client: of the store.
        uri: of the store.
        outputs: below which runs may have their folders.
        scratch: an empty folder for what is fetched; it must stay while the files are used.
    """

    def __init__(self, client: MlflowClient, *, uri: str, outputs: Path, scratch: Path) -> None:
        self._client = client
        self._uri = uri
        self._outputs = outputs
        self._scratch = scratch

    def find(self, run_id: str, name: str) -> Path | None:
        """Return a file of a run, such as `predictions/test.csv`; None where it has none."""
        for below in _BELOW:
            path = self._outputs / below / run_id / name
            if path.is_file():
                return path
        folder = name.rpartition("/")[0]
        if name not in {item.path for item in self._client.list_artifacts(run_id, folder or None)}:
            return None
        into = self._scratch / "runs" / run_id
        into.mkdir(parents=True, exist_ok=True)
        return Path(self._client.download_artifacts(run_id, name, str(into)))

    def bundle(self, model_id: str) -> Path:
        """Return the bundle of a model as the service would fetch it.

        Raises:
            RegistryError: the model has none, or its files cannot be reached.
        """
        import mlflow.artifacts

        try:
            location = self._client.get_logged_model(model_id).artifact_location
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
