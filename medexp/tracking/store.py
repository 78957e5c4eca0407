"""Reach an MLflow store: created once, under a lock, with its troubles said in a sentence."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from medexp.errors import MedexpError, TrackingError
from medexp.redact import redact

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_ADVISORY_LOCK = 6_337_397_001  # any number that only medexp takes; PostgreSQL's lock while a schema is made
_TIMEOUT = 10  # seconds to reach a database server


def open_client(uri: str, *, create: bool = True) -> MlflowClient:
    """Return a client of an existing store, or of one that is created now.

    MLflow migrates a fresh database on first use without a lock that holds between processes, so it is done
    here under one: a file beside a SQLite database, an advisory lock in PostgreSQL.

    Args:
        uri: of a database or a tracking server.
        create: whether a SQLite file that does not exist is made.

    Raises:
        TrackingError: the server does not answer, the driver is missing, the folder is not writable.
    """
    if not create and is_missing_file(uri):
        raise TrackingError(
            f"Nothing is recorded yet. Received: tracking.uri={uri}, and there is no such file. "
            "Train first: python scripts/train.py"
        )
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "0")  # its records go to the run's log like all others
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # the default waits minutes for a dead server
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # the summary says where
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(_TIMEOUT))
    if uri.startswith("sqlite:"):  # a pool would write on into a file that was deleted
        os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it logs what it raises
    os.environ.pop("MLFLOW_RUN_ID", None)  # it would win over every explicit parent
    with store_errors(uri), sole_user(uri):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
        return client


def experiment_id(client: MlflowClient, uri: str, name: str, artifacts: str) -> str:
    """Return the id of experiment `name`, created where there is none, its files below folder `artifacts`.

    Raises:
        TrackingError: the experiment was deleted in MLflow.
    """
    with store_errors(uri), sole_user(uri):
        found = client.get_experiment_by_name(name)
        if found is None:
            location = (Path(artifacts).absolute() / quote(name, safe="")).as_uri() if is_database(uri) else None
            return str(client.create_experiment(name, artifact_location=location))
    if found.lifecycle_stage != "active":
        raise TrackingError(
            f"The experiment was deleted. Received: tracking.experiment={name}. Restore it with "
            f"`mlflow experiments restore -x {found.experiment_id}`, or use another: tracking.experiment=..."
        )
    return str(found.experiment_id)


def is_database(uri: str) -> bool:
    """Whether `uri` names a database rather than a tracking server."""
    return uri.partition(":")[0].partition("+")[0] in DATABASES


def is_missing_file(uri: str) -> bool:
    """Whether `uri` is of a SQLite database whose file does not exist, or is empty: SQLite makes one on looking."""
    return uri.startswith("sqlite:") and not ((file := _sqlite_file(uri)).is_file() and file.stat().st_size)


def redacted(value: Any) -> Any:
    """Return a text without the passwords in it; other values as they are."""
    return redact(value) if isinstance(value, str) else value


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turn what MLflow and its database raise into a TrackingError that names the store."""
    try:
        yield
    except MedexpError:
        raise
    except Exception as error:  # MLflow, SQLAlchemy, requests and the drivers share no base class
        reason = redacted(str(error)).strip().partition("\n")[0][:300]
        raise TrackingError(
            f"The tracking store failed ({type(error).__name__}: {reason}). Received: tracking.uri={redacted(uri)}. "
            "Override: tracking.uri=sqlite:////absolute/path/mlflow.db; training without a store: logger=none"
        ) from error


@contextmanager
def default_store(uri: str) -> Iterator[None]:
    """While it lasts, MLflow's process-wide default is `uri`: its registry looks logged models up there."""
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


@contextmanager
def sole_user(uri: str) -> Iterator[None]:
    """Hold the store's lock; for a database server, find out within seconds whether it answers.

    A tracking server has none: what is done under this lock is then not atomic between machines.
    """
    kind = uri.partition(":")[0].partition("+")[0]
    if kind == "sqlite":
        from filelock import FileLock

        path = _sqlite_file(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            yield
    elif kind in DATABASES:
        yield from _sole_user_of_server(uri, kind)
    else:
        yield


def _sqlite_file(uri: str) -> Path:
    return Path(uri.partition(":///")[2].partition("?")[0])


def _sole_user_of_server(uri: str, kind: str) -> Iterator[None]:
    from sqlalchemy import create_engine, text

    try:
        engine = create_engine(uri, connect_args={"connect_timeout": _TIMEOUT} if kind == "postgresql" else {})
    except ImportError as error:
        raise TrackingError(
            f"The database driver is not installed ({error}). Received: tracking.uri={redacted(uri)}. "
            "In the checkout: .venv/bin/pip install -e .[postgres]"
        ) from error
    try:
        with engine.connect() as connection:
            if kind == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})"))
            yield
            if kind == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_unlock({_ADVISORY_LOCK})"))
    finally:
        engine.dispose()
