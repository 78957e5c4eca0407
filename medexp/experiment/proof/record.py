"""Where a comparison is recorded."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from medexp.config.schema_compare import CompareConfig
from medexp.errors import TrackingError
from medexp.tracking.base import Tracker
from medexp.tracking.entry import FILES, METRICS, TAGS, Entry
from medexp.tracking.mlflow_store import MlflowStore
from medexp.tracking.mlflow_tracker import MlflowTracker
from medexp.tracking.null_tracker import NullTracker
from medexp.tracking.store import is_missing_file

logger = logging.getLogger(__name__)
ARTIFACTS = "comparison"


def recorder(config: CompareConfig) -> Tracker:
    """Return what opens a run in the store of the runs; where nothing was recorded yet, a folder has to do."""
    if is_missing_file(config.tracking.uri):
        return NullTracker()
    artifacts = str(config.paths.outputs / "mlartifacts")
    return MlflowTracker(uri=config.tracking.uri, experiment=config.tracking.experiment, artifacts=artifacts)


def record_in(
    run_id: str, folder: Path, *, uri: str, metrics: Mapping[str, float], tags: Mapping[str, str]
) -> str | None:
    """Add a comparison to a run that has ended or is still at work, whose state stays as it is.

    Args:
        run_id: of the parent run of a sweep.
        folder: its files go to the artifacts of the run, below `comparison/`.
        uri: of the store.
        metrics: of the run, at step 0.
        tags: of the run.

    Returns:
        Why it could not be recorded; None where it was.
    """
    store = MlflowStore(uri)
    files = sorted(path.name for path in folder.iterdir() if path.is_file())
    entries = [
        Entry(TAGS, {"tags": dict(tags)}),
        Entry(METRICS, {"step": 0, "metrics": dict(metrics)}),
        *(Entry(FILES, {"path": name, "folder": ARTIFACTS}) for name in files),
    ]
    try:
        for entry in entries:
            store.send(run_id, [entry], folder)
    except TrackingError as error:
        logger.warning("the comparison is in %s only: %s", folder, error)
        return str(error)
    return None
