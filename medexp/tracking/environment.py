"""What a run ran on: code, versions, machine."""

from __future__ import annotations

import getpass
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "medexp", "keras", "tensorflow", "numpy", "hydra-core", "mlflow", "scikit-learn", "pillow", "ai-edge-litert",
)  # fmt: skip


def environment(root: Path) -> dict[str, Any]:
    """Return the git state of the checkout `root`, versions of Python and packages, the host, the command line.

    `git_commit` is None where there is no git or no repository; `git_dirty` says that tracked or new files
    differ from it.
    """
    commit = _git(root, "rev-parse", "HEAD")
    return {
        "git_commit": commit,
        "git_branch": _git(root, "rev-parse", "--abbrev-ref", "HEAD") if commit else None,
        "git_dirty": bool(_git(root, "status", "--porcelain")) if commit else None,
        "versions": {"python": platform.python_version(), **{name: v for name in PACKAGES if (v := _version(name))}},
        "host": platform.node(),
        "user": _user(),
        "platform": platform.platform(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())
