"""What is said of a store, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from medexp.errors import DataError, TrackingError
from medexp.tracking.store import is_database, open_client, redacted, store_errors


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:s3cret@host/db", "postgresql://me:***@host/db"),
        ("uri=postgresql+psycopg://me:p:w@host/db seed=1", "uri=postgresql+psycopg://me:***@host/db seed=1"),
        ("http://me:a@one http://you:b@two", "http://me:***@one http://you:***@two"),
        ("postgresql://me:s3@cret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://host/db?user=me&password=s3cret&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        (3, 3),
        (None, None),
    ],
)  # fmt: skip
def test_passwords_are_left_out(text: object, shown: object) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    ("uri", "expected"),
    [("sqlite:////a.db", True), ("postgresql+psycopg://h/d", True), ("http://h:5000", False), ("https://h", False)],
)
def test_databases_are_told_from_servers(uri: str, expected: bool) -> None:
    assert is_database(uri) is expected


def test_any_failure_of_the_store_names_the_store_without_its_password() -> None:
    uri, said = "postgresql://me:s3cret@h/d", r"ValueError: no://x:\*\*\*@y.*postgresql://me:\*\*\*@h/d"
    with pytest.raises(TrackingError, match=said) as found, store_errors(uri):
        raise ValueError("no://x:s3cret@y\nmore")
    assert "s3cret" not in str(found.value)


def test_our_own_errors_pass_through() -> None:
    with pytest.raises(DataError, match="images"), store_errors("sqlite:///x"):
        raise DataError("images")


def test_reading_creates_no_database(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="Nothing is recorded yet"):
        open_client(f"sqlite:///{tmp_path}/none.db", create=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty.db").touch()
    with pytest.raises(TrackingError, match="Nothing is recorded yet"):
        open_client(f"sqlite:///{tmp_path}/empty.db", create=False)
    assert (tmp_path / "empty.db").stat().st_size == 0


def test_a_run_id_in_the_environment_does_not_take_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medexp.tracking.mlflow_tracker import MlflowTracker

    monkeypatch.setenv("MLFLOW_RUN_ID", "f" * 32)
    tracker = MlflowTracker(uri=f"sqlite:///{tmp_path}/mlflow.db", experiment="x", artifacts=str(tmp_path))
    with (
        tracker.start("parent", below=tmp_path) as parent,
        tracker.start("child", below=tmp_path, parent=parent.id) as child,
    ):
        child.log_metrics({"loss": 1.0, "never": float("nan")}, step=1)
    (found,) = tracker.children(parent.id)
    assert (found.run_id, found.status, dict(found.metrics)) == (child.id, "FINISHED", {"loss": 1.0})
    assert "f" * 32 not in (parent.id, child.id)
