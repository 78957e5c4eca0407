"""The job of a trial, in a process of its own that was forked from the sweeper."""

from __future__ import annotations

import gc
import importlib
import os
from collections.abc import Sequence

from hydra.plugins.launcher import Launcher

# What every training imports; it takes seconds, and starts no thread that matters.
_FRAMEWORKS = (
    "tensorflow", "keras", "sklearn.metrics", "pandas", "scipy.stats", "mlflow.tracking", "optuna",
    "matplotlib.figure", "jinja2", "alembic.command", "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql",
    "mlflow.store.tracking.sqlalchemy_store", "mlflow.system_metrics.system_metrics_monitor",
    "medexp.config.search_argument", "medexp.data.audit.remembered", "medexp.data.audit.run",
    "medexp.data.augmentation", "medexp.data.medmnist", "medexp.data.module", "medexp.evaluation.metrics",
    "medexp.experiment.train", "medexp.experiment.trial", "medexp.imaging.prepare", "medexp.models.module",
    "medexp.models.published", "medexp.sweep.attached", "medexp.sweep.journal", "medexp.tracking.mlflow_tracker",
    "medexp.training.schedules", "medexp.training.session", "medexp.training.trainer",
)  # fmt: skip


class TrialJob:
    """Runs the job of a trial by a launcher that stays in the process.

    Args:
        launcher: Hydra's basic one.
    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def __call__(self, number: int, overrides: Sequence[str]) -> None:
        """Run it; raise what it raises."""
        (result,) = self._launcher.launch([list(overrides)], initial_job_idx=number)
        result.return_value  # noqa: B018  Hydra raises here what the job raised


class Frameworks:
    """Imports what jobs need, in the process that they are forked from.

    Args:
        backend: of Keras.
    """

    def __init__(self, backend: str) -> None:
        self._backend = backend

    def __call__(self) -> None:
        """Import; what is missing, a job will say."""
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        os.environ["KERAS_BACKEND"] = self._backend
        for name in _FRAMEWORKS:
            importlib.import_module(name)
        gc.freeze()  # what is imported is never collected: a trial's collections need not touch, and copy, its pages
