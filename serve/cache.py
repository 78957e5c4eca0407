"""Bundles on this machine's disk: fetched once, verified each time they are opened."""

from __future__ import annotations

import fcntl
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from medexp.errors import RegistryError
from medexp.registry.bundle import Bundle
from serve.version import Version

logger = logging.getLogger(__name__)


class BundleCache:
    """Keeps the bundle of each version in `folder/<model>/<version>-<model id>`.

    A bundle appears there complete or not at all, so several services may share the folder.
    """

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        self._folder = folder
        self._threads = threads

    def open(self, version: Version, download: Callable[[Version, Path], Path]) -> Bundle:
        """Return the verified bundle of `version`, fetched where it is missing or damaged.

        Args:
            version: what to open.
            download: copies its bundle into a folder and returns where it is (ModelStore.download).

        Raises:
            RegistryError: it cannot be fetched, or what was fetched is damaged.
        """
        path = self._folder / quote(version.name, safe="") / f"{version.number}-{version.model_id}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with (path.parent / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, or the process killed
                return self._kept(path) or self._fetch(version, path, download)
        except OSError as error:
            raise RegistryError(
                f"The bundle cannot be kept on disk ({error}). Received: cache={self._folder}. "
                "Name a folder that the service may write to."
            ) from error

    def _kept(self, path: Path) -> Bundle | None:
        if not path.exists():
            return None
        try:
            return self._open(path)
        except (RegistryError, OSError) as error:
            logger.warning("the cached bundle is fetched again: %s", error)
            return None

    def _fetch(self, version: Version, path: Path, download: Callable[[Version, Path], Path]) -> Bundle:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetch-") as temporary:
            fetched = download(version, Path(temporary) / "new")
            self._open(fetched)
            if path.exists():
                path.rename(Path(temporary) / "damaged")
            fetched.rename(path)
        return self._open(path)

    def _open(self, path: Path) -> Bundle:
        return Bundle.open(path, threads=self._threads)
