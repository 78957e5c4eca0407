"""The service's settings: conf/serve.yaml, overridden by the environment, checked at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, StringConstraints, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from medexp.errors import ConfigError, unknown
from medexp.imaging.limits import MAX_PIXELS
from medexp.redact import redact

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "MEDEXP_SERVE_"
FILE_VARIABLE = PREFIX + "CONFIG"
STORES = ("sqlite", "postgresql", "http", "https")


class Settings(BaseSettings):
    """What conf/serve.yaml says about each key, typed. Arguments win over the environment, it over the file."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, env_parse_none_str="null", extra="forbid", frozen=True
    )

    tracking_uri: str = Field(default=None, validate_default=True)
    model_name: Annotated[str, StringConstraints(pattern=r"^[^/:\\]+$")] = "medexp"
    alias: Annotated[str, StringConstraints(pattern=r"^[\w-]+$")] = "champion"
    refresh_seconds: float = Field(default=15, ge=0.1, le=86400)
    cache: Path = Field(default=None, validate_default=True)
    max_bytes: int = Field(default=10 * 1024 * 1024, ge=1024)
    max_pixels: int = Field(default=MAX_PIXELS, ge=1)
    concurrency: int = Field(default=2, ge=1, le=64)
    threads: int = Field(default=0, ge=0, le=256)
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)

    @field_validator("tracking_uri", mode="before")
    @classmethod
    def _store(cls, value: Any) -> Any:
        """The database of scripts/train.py where none is named; only stores that MLflow and the service know."""
        if value is None:
            return f"sqlite:///{ROOT / 'outputs' / 'mlflow.db'}"
        kind = str(value).partition(":")[0].partition("+")[0]
        if kind not in STORES or "://" not in str(value):
            raise ValueError(unknown("kind of store", redact(str(value)), (f"{kind}://" for kind in STORES)))
        return value

    @field_validator("cache", mode="before")
    @classmethod
    def _cache(cls, value: Any) -> Any:
        """A folder below `outputs` where none is named; a relative one is below the checkout."""
        return ROOT / "outputs" / "cache" / "serve" if value is None else ROOT / str(value)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, environment, file."""
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=_file())


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        ConfigError: lists every problem found.
    """
    problems = [
        unknown("variable", name, [FILE_VARIABLE, *(PREFIX + field.upper() for field in Settings.model_fields)])
        for name in sorted(os.environ)
        if name.startswith(PREFIX) and name.removeprefix(PREFIX).lower() not in {"config", *Settings.model_fields}
    ]
    settings = None
    if os.environ.get(FILE_VARIABLE) and not _file().is_file():
        problems.append(f"There is no such file. Received: {FILE_VARIABLE}={_file()}.")
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [_problem(dict(found)) for found in error.errors()]
    except (yaml.YAMLError, TypeError, ValueError) as error:
        problems.append(f"Not a YAML file of `key: value` lines. Received: {_file()} ({' '.join(str(error).split())}).")
    if problems or settings is None:
        raise ConfigError(
            "The service cannot start, its settings are wrong:\n"
            + "\n".join(f"  - {problem}" for problem in problems)
            + f"\nMend them in {_file()} or by {PREFIX}<KEY> in the environment."
        )
    return settings


def _file() -> Path:
    return Path(os.environ.get(FILE_VARIABLE) or ROOT / "conf" / "serve.yaml")


def _problem(found: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in found["loc"])
    if found["type"] == "extra_forbidden":
        return unknown("key", key, Settings.model_fields)
    said = str(found["msg"]).removeprefix("Value error, ")
    return f"{key}: {said}" if "Received:" in said else f"{key}: {said}. Received: {redact(str(found['input']))!r}."
