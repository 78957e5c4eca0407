"""The service's settings: the file, the environment over it, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from support import ROOT

from medexp.errors import ConfigError
from medexp.redact import redact
from serve.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MEDEXP_SERVE_")]:
        monkeypatch.delenv(name)


def test_the_file_names_every_key_with_a_comment_and_its_default() -> None:
    text = (ROOT / "conf" / "serve.yaml").read_text()
    values = yaml.safe_load(text)
    assert list(values) == list(Settings.model_fields)
    assert {key: value for key, value in values.items() if value is not None} == {
        key: field.default for key, field in Settings.model_fields.items() if field.default is not None
    }
    lines = text.splitlines()
    commented = [
        key for key in values if lines[next(i for i, s in enumerate(lines) if s.startswith(f"{key}:")) - 1][0] == "#"
    ]
    assert commented == list(values)


def test_defaults_are_those_of_the_training() -> None:
    settings = load_settings()
    assert settings.tracking_uri == f"sqlite:///{ROOT}/outputs/mlflow.db"
    assert settings.cache == ROOT / "outputs" / "cache" / "serve"
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("port: 81\nalias: challenger\ncache: kept\n")
    monkeypatch.setenv("MEDEXP_SERVE_CONFIG", str(tmp_path / "mine.yaml"))
    monkeypatch.setenv("MEDEXP_SERVE_PORT", "82")
    monkeypatch.setenv("MEDEXP_SERVE_TRACKING_URI", "null")
    monkeypatch.setenv("MEDEXP_SERVE_HOST", "")
    settings = load_settings()
    assert (settings.port, settings.alias, settings.host) == (82, "challenger", "127.0.0.1")
    assert settings.cache == ROOT / "kept"
    assert settings.tracking_uri.endswith("/outputs/mlflow.db")
    assert Settings(port=83).port == 83


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_bytes: 10", "max_bytes: Input should be greater than or equal to 1024. Received: '10'."),
        ("tracking_uri: ./mlruns", "Unknown kind of store. Received: './mlruns'. Available: http://, https://"),
        ("model_name: a/b", "model_name: String should match"),
        ("[1, 2]", "Not a YAML file"),
        ("a: [", "Not a YAML file"),
    ],
)
def test_a_wrong_file_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    monkeypatch.setenv("MEDEXP_SERVE_CONFIG", str(tmp_path / "mine.yaml"))
    with pytest.raises(ConfigError) as error:
        load_settings()
    assert said in str(error.value)


def test_a_missing_file_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDEXP_SERVE_CONFIG", "/none/serve.yaml")
    with pytest.raises(ConfigError, match=r"no such file. Received: MEDEXP_SERVE_CONFIG=/none/serve.yaml"):
        load_settings()


def test_passwords_are_not_shown() -> None:
    assert redact("at postgresql://me:p:w@host/db") == "at postgresql://me:***@host/db"
    assert redact("http://host:5000/a") == "http://host:5000/a"
