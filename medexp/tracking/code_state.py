"""Exactly which code a checkout holds: the commit, and what differs from it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LARGEST_PATCH = 1_000_000  # bytes
_LARGEST_READ = 16_000_000  # bytes of a file; of larger ones, which are no code, the size stands for the content
_TIMEOUT = 60  # seconds


@dataclass(frozen=True)
class CodeState:
    """The code of a checkout.

    Args:
        commit: of HEAD; None where there is no git, no repository or no commit.
        branch: its name.
        changes: files that differ from the commit, new ones too, relative to the root of the repository.
        digest: SHA-256 over the names and contents of `changes`; None where there are none.
    """

    commit: str | None = None
    branch: str | None = None
    changes: tuple[str, ...] = ()
    digest: str | None = None


def code_state(root: Path, *, ignore: Sequence[Path] = ()) -> CodeState:
    """Return which code the checkout `root` holds.

    Args:
        root: of the checkout.
        ignore: folders that hold no code, such as outputs, if they lie in the checkout.
    """
    found = _git(root, "rev-parse", "HEAD", "--show-toplevel", "--abbrev-ref", "HEAD")
    if found is None:
        return CodeState()
    commit, top, branch = found.splitlines()
    here = Path(top)
    changes = sorted({*_tracked(here, ignore), *_new(here, ignore)})
    return CodeState(
        commit=commit,
        branch=branch,
        changes=tuple(changes),
        digest=_digest(here, changes) if changes else None,
    )


def code_patch(root: Path, *, ignore: Sequence[Path] = ()) -> str | None:
    """Return all changes as a patch for `git apply` on the commit; None where there are none or it is too large."""
    asked = ("--show-toplevel", "--path-format=absolute", "--git-path", "index", "--git-path", "objects")
    found = _git(root, "rev-parse", *asked)
    if found is None:
        return None
    top, index, objects = found.splitlines()
    here = Path(top)
    new = _new(here, ignore)
    if sum(_size(here / name) for name in new) > LARGEST_PATCH:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        copy, own = Path(scratch) / "index", Path(scratch) / "objects"
        own.mkdir()
        if Path(index).is_file():
            shutil.copy(index, copy)
        # New files are announced in a copy of the index, which leaves no trace in the repository.
        apart = {
            "GIT_INDEX_FILE": str(copy),
            "GIT_OBJECT_DIRECTORY": str(own),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
        }
        if new and _git(here, "add", "--intent-to-add", "--", *new, variables=apart) is None:
            return None
        patch = _git(here, "diff", "--binary", "HEAD", "--", ".", *_but(here, ignore), variables=apart, strip=False)
    return patch if patch and len(patch.encode(errors="surrogateescape")) <= LARGEST_PATCH else None


def _tracked(root: Path, ignore: Sequence[Path]) -> list[str]:
    return _names(_git(root, "diff", "--name-only", "--no-renames", "-z", "HEAD", "--", ".", *_but(root, ignore)))


def _new(root: Path, ignore: Sequence[Path]) -> list[str]:
    return _names(_git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", ".", *_but(root, ignore)))


def _names(text: str | None) -> list[str]:
    return [name for name in (text or "").split("\0") if name]


def _but(root: Path, ignore: Sequence[Path]) -> list[str]:
    inside = [path.resolve() for path in ignore if root.resolve() in path.resolve().parents]
    return [f":(exclude,literal){path.relative_to(root.resolve())}" for path in inside]


def _digest(root: Path, names: Sequence[str]) -> str:
    total = hashlib.sha256()
    for name in names:
        path = root / name
        if path.is_symlink():
            content = f"link {path.readlink()}"
        elif not path.is_file():
            content = "gone"
        elif _size(path) > _LARGEST_READ:
            content = f"{_size(path)} bytes"
        else:
            content = f"{os.access(path, os.X_OK)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        total.update(f"{name}\0{content}\0".encode(errors="surrogateescape"))
    return total.hexdigest()


def _size(path: Path) -> int:
    return path.lstat().st_size if os.path.lexists(path) else 0


def _git(root: Path, *arguments: str, variables: Mapping[str, str] | None = None, strip: bool = True) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            env={**os.environ, **(variables or {})},
            timeout=_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    text = done.stdout.decode(errors="surrogateescape")
    return text.strip() if strip else text
