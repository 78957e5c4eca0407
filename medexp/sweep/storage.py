"""Where studies are kept: a journal file, or a database by its URL; made once, however many come at once."""

from __future__ import annotations

import contextlib
import logging
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medexp.errors import MedexpError, SweepError
from medexp.redact import redact

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from sqlalchemy import Engine

_ADVISORY_LOCK = 6_337_397_002  # any number that only medexp takes; PostgreSQL's lock while a study is made
_CONNECT = 10  # seconds to reach a database server
_BUSY = 60  # seconds that SQLite waits for another writer
_SILENT = 30_000  # milliseconds after which a server that acknowledges nothing counts as gone


def is_url(text: str) -> bool:
    """Whether `text` names a database rather than a file."""
    return "://" in text


def open_storage(text: str, *, create: bool = True) -> BaseStorage:
    """Return the storage at `text`: the path of a journal file, or the URL of a database.

    Optuna makes the tables of a fresh database without a lock that holds between processes, so it is done here
    under one: a file beside a SQLite database, an advisory lock in PostgreSQL.

    Args:
        text: where the studies are.
        create: whether what does not exist is made. False is for who knows that it does, and is quicker.

    Raises:
        SweepError: the folder is not writable, the server does not answer, the driver is missing.
    """
    _quieten()
    with storage_errors(text):
        if not is_url(text):
            from optuna.storages import JournalStorage

            from medexp.sweep.journal import JournalFile

            if create:
                Path(text).parent.mkdir(parents=True, exist_ok=True)
            elif not Path(text).is_file():
                raise SweepError(f"There is no study. Received: sweep.storage={text}, and there is no such file")
            return JournalStorage(JournalFile(text))
        with exclusive(text) if create else contextlib.nullcontext():
            return _database(text, create=create)


@contextmanager
def exclusive(text: str) -> Iterator[None]:
    """Hold the lock of the storage at `text`, which only who makes something takes; a killed holder loses it.

    Databases other than SQLite and PostgreSQL have none here.
    """
    kind = text.partition(":")[0].partition("+")[0] if is_url(text) else "file"
    if kind in ("file", "sqlite"):
        from filelock import FileLock

        path = Path(text) if kind == "file" else _sqlite_file(text)
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.making"):  # not `.lock`, which Optuna's own tools take
            yield
    elif kind == "postgresql":
        from sqlalchemy import create_engine
        from sqlalchemy import text as sql

        engine = create_engine(text, connect_args=_connect_args(text))
        try:
            with engine.connect() as connection:
                connection.execute(sql(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})"))
                yield
                connection.execute(sql(f"SELECT pg_advisory_unlock({_ADVISORY_LOCK})"))
        finally:
            engine.dispose()
    else:
        yield


@contextmanager
def storage_errors(text: str) -> Iterator[None]:
    """Turn what Optuna, the database and the file system raise into a SweepError that names the storage."""
    try:
        yield
    except MedexpError:
        raise
    except ImportError as error:
        raise SweepError(
            f"The database driver is not installed ({_reason(error)}). Received: search.storage={redact(text)}. "
            "In the checkout: .venv/bin/pip install -e .[postgres]"
        ) from error
    except Exception as error:  # Optuna, SQLAlchemy, the drivers and the system share no base class
        raise SweepError(
            f"The storage of the search failed ({_reason(error)}). Received: search.storage={redact(text)}. "
            "Override: search.storage=postgresql://user@host/database; a file below paths.outputs: search.storage=null"
        ) from error


def _database(text: str, *, create: bool) -> BaseStorage:
    from optuna.storages import RDBStorage, get_storage

    url = text.replace("{", "{{").replace("}", "}}")  # Optuna fills the URL in as a template
    options: dict[str, Any] = {"connect_args": _connect_args(text), "pool_pre_ping": True}
    backend = RDBStorage(url, options, skip_compatibility_check=not create, skip_table_creation=not create)
    if text.startswith("sqlite"):
        _lock_before_reading(backend.engine)
    _close_before_fork(backend.engine)
    return get_storage(backend)


def _close_before_fork(engine: Engine) -> None:
    """Close idle connections whenever this process forks.

    A child that inherits SQLite's idea of who holds which lock, and opens the file itself, loses writes of others; one
    that inherits a server's socket ends the parent's session when it ends.
    """
    reference = weakref.ref(engine)  # what is registered stays for as long as the process

    def close() -> None:
        if (living := reference()) is not None:
            living.dispose()

    os.register_at_fork(before=close)


def _lock_before_reading(engine: Engine) -> None:
    """Let SQLite lock what Optuna asks to be locked.

    Optuna reads a trial's state to change it, and counts trials to number a new one, with row locks that SQLite does
    not have: two processes would both end a trial, or both get its number. Here such a transaction begins as a
    writer's. What only reads does not wait for writers (write-ahead log).
    """
    from sqlalchemy import event
    from sqlalchemy.sql import Select

    engine.dispose()  # of connections made before this is listened for

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # Python begins no transaction by itself
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "before_execute")
    def _begin(connection: Any, statement: Any, *rest: Any) -> None:
        raw = connection.connection.dbapi_connection
        reads = isinstance(statement, Select) and statement._for_update_arg is None
        if not reads and not raw.in_transaction:
            raw.execute("BEGIN IMMEDIATE")


def _connect_args(text: str) -> dict[str, Any]:
    if text.startswith("sqlite"):
        return {"timeout": _BUSY}
    if text.partition(":")[0] in ("postgresql", "postgresql+psycopg", "postgresql+psycopg2"):
        return {"connect_timeout": _CONNECT, "tcp_user_timeout": _SILENT, "keepalives_idle": _SILENT // 1000}
    return {}


def _sqlite_file(url: str) -> Path:
    return Path(url.partition(":///")[2].partition("?")[0])


def _reason(error: BaseException) -> str:
    """What happened, in a line without passwords; the cause where Optuna wraps it in a guess of its own."""
    from optuna.exceptions import StorageInternalError

    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {redact(str(error)).strip().partition(chr(10))[0][:300]}"


def _quieten() -> None:
    """Leave Optuna's records to the log of whoever runs, from warnings on."""
    from optuna import logging as optuna_logging

    optuna_logging.disable_default_handler()
    optuna_logging.enable_propagation()
    optuna_logging.set_verbosity(logging.WARNING)
