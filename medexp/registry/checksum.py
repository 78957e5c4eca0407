"""Checksums of files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from medexp.errors import RegistryError


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below `folder`, by its path in it."""
    return {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def require_unchanged(folder: Path, digests: Mapping[str, str]) -> None:
    """Raise RegistryError unless every file of `digests` below `folder` is what it was."""
    for name, digest in digests.items():
        found = sha256(folder / name) if (folder / name).is_file() else "no such file"
        if found != digest:
            raise RegistryError(
                f"The bundle was changed after it was written. Received: {folder / name} with SHA-256 {found}, "
                f"the passport says {digest}. Fetch it again from the registry, or train anew."
            )
