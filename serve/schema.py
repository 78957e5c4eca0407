"""Look at a database before MLflow does: MLflow creates and migrates what it finds unfit, the service must not."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from medexp.redact import redact
from serve.errors import StoreUnavailableError

_TIMEOUT = 5  # seconds to reach a database server


def require_schema(uri: str) -> None:
    """Return when the database `uri` holds the tables of the MLflow installed here; nothing is written.

    Tracking servers (`http://...`) look after their own database.

    Raises:
        StoreUnavailableError: no such file, no tables, tables of another version, or a server that does not answer.
    """
    if uri.startswith("http"):
        return
    import alembic.script
    import mlflow.store.db_migrations

    found = _revision(uri)
    folder = Path(str(mlflow.store.db_migrations.__file__)).parent
    wanted = alembic.script.ScriptDirectory(str(folder)).get_current_head()
    if found != wanted:
        raise StoreUnavailableError(
            f"The tracking store is being created, or belongs to another version of MLflow. Received: "
            f"{redact(uri)} with schema {found}; this service reads {wanted}. The service never migrates it: "
            "where no training is just starting, see `mlflow db upgrade`."
        )


def _revision(uri: str) -> str | None:
    import sqlalchemy

    url = sqlalchemy.make_url(uri)
    arguments: dict[str, int] = {"connect_timeout": _TIMEOUT}
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        if not path.is_file():
            raise StoreUnavailableError(f"There is no tracking store yet. Received: tracking_uri={uri}.")
        url = sqlalchemy.make_url(f"sqlite:///file:{quote(str(path.absolute()))}?mode=ro&uri=true")
        arguments = {"timeout": _TIMEOUT}
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=arguments)
    with engine.connect() as connection:
        if not sqlalchemy.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar()
