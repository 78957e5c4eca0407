"""Find the folder of a run by its id, the beginning of its id, or its path."""

from __future__ import annotations

import difflib
from pathlib import Path

from medexp.errors import ConfigError

SHORTEST = 6  # characters of an id that may stand for all of it
SAVED = "config.yaml"
_SHOWN = 5  # runs that an error names


def find_run(name: str, *, outputs: Path, key: str) -> Path:
    """Return the absolute folder of a run.

    Args:
        name: the id of a run below `outputs`/runs, at least its first six characters, or the path of a folder.
        outputs: where runs are looked for.
        key: the override that named it, for messages.

    Raises:
        ConfigError: there is no such run, the beginning of an id fits several, or the folder is none of a run.
    """
    runs = outputs / "runs"
    path = Path(name).expanduser()
    if "/" in name or (path.is_dir() and not (runs / name).is_dir()):
        if not (path / SAVED).is_file():
            state = f"has no {SAVED}" if path.is_dir() else "does not exist"
            raise ConfigError(f"{key}: should be a run id or the folder of a run. Received: {name}, which {state}.")
        return path.absolute()
    known = _latest_first(runs)
    if name in known:
        return (runs / name).absolute()
    found = [run for run in known if run.startswith(name)]
    if len(name) < SHORTEST:
        raise ConfigError(f"{key}: needs at least {SHORTEST} characters of the id. Received: {name!r}.{_hint(known)}")
    if len(found) > 1:
        raise ConfigError(f"{key}: {len(found)} runs begin so. Received: {name!r}. They are: {', '.join(found)}")
    if not found:
        near = difflib.get_close_matches(name, known, n=1)
        nearest = f" Did you mean {near[0]!r}?" if near else _hint(known)
        raise ConfigError(
            f"{key}: Unknown run. Received: {name!r}, looked for below {runs}.{nearest} "
            "Elsewhere: paths.outputs=..., or name the folder of the run."
        )
    return (runs / found[0]).absolute()


def _latest_first(runs: Path) -> list[str]:
    files = list(runs.glob(f"*/{SAVED}"))
    return [file.parent.name for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)]


def _hint(known: list[str]) -> str:
    if not known:
        return " There is no run yet."
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f" The latest: {', '.join(known[:_SHOWN])}{more}."
