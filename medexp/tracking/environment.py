"""What a run ran on: code, versions, machine."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medexp.tracking.code_state import code_state
from medexp.tracking.machine import machine

LOCK = "requirements.lock"
PACKAGES = (
    "medexp", "keras", "tensorflow", "numpy", "hydra-core", "mlflow", "scikit-learn", "pillow", "ai-edge-litert",
)  # fmt: skip


def environment(root: Path, *, ignore: Sequence[Path] = ()) -> dict[str, Any]:
    """Return the git state of the checkout `root`, versions of Python and packages, the machine, the command line.

    `git_commit` is None where there is no git or no repository; `git_dirty` says that tracked or new files
    differ from it, `git_changes` which, and `git_digest` stands for their content. `lock` is the SHA-256 of
    requirements.lock, `packages` all that is installed. `machine` is what the last bits of a result depend on.

    Args:
        root: of the checkout.
        ignore: folders below it that hold no code, such as outputs.
    """
    code = code_state(root, ignore=ignore)
    installed = packages()
    known = {name: installed[name] for name in PACKAGES if name in installed}
    return {
        "git_commit": code.commit,
        "git_branch": code.branch,
        "git_dirty": bool(code.changes) if code.commit else None,
        "git_changes": list(code.changes),
        "git_digest": code.digest,
        "lock": lock_digest(root),
        "versions": {"python": platform.python_version(), **known},
        "packages": installed,
        "host": platform.node(),
        "user": _user(),
        "platform": platform.platform(),
        "cores": (facts := machine())["cores"],
        "machine": facts,
        "working_directory": str(Path.cwd()),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def lock_digest(root: Path) -> str | None:
    """SHA-256 of the lock file of the checkout `root`; None where there is none."""
    path = root / LOCK
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def packages() -> dict[str, str]:
    """Every installed distribution by its normalised name, with its version; the first on the path wins.

    The name of its folder says both (PEP 376): to read what is in hundreds of them takes a fifth of a second, in every
    trial of a sweep.
    """
    found: dict[str, str] = {}
    for place in map(Path, sys.path):
        for folder in sorted(place.glob("*.dist-info")) if place.is_dir() else ():
            name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
            if name:
                found.setdefault(name.lower().replace("_", "-").replace(".", "-"), version)
    return dict(sorted(found.items()))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())
