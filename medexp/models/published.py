"""Weights that were published with Keras: find the file, or fetch it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from medexp.errors import ConfigError

logger = logging.getLogger(__name__)
KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
TIMEOUT = 30.0  # seconds without an answer before a download is given up


@dataclass(frozen=True)
class Published:
    """A file of `keras.applications`, without the head.

    Args:
        url: where Keras fetches it from.
        digest: MD5 or SHA-256, hexadecimal, as Keras knows it; None where Keras knows none.
    """

    url: str
    digest: str | None

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


def find_published(published: Published, *, folders: Sequence[str | None], download_to: str | None) -> Path:
    """Return the file: from a folder, from Keras' own cache, or downloaded.

    Args:
        published: what is wanted.
        folders: looked through in this order; None entries are skipped.
        download_to: the folder that receives a download; None for Keras' cache.

    Raises:
        ConfigError: it is nowhere and cannot be downloaded, or is not what was published.
    """
    cache = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    to = Path(download_to).expanduser().absolute() if download_to else cache
    for folder in [*(Path(folder).expanduser().absolute() for folder in folders if folder), to, cache]:
        path = folder / published.file
        if path.is_file():
            _check(path, published)
            return path
    _download(published, to)
    return to / published.file


def _check(path: Path, published: Published) -> None:
    if published.digest is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5" if len(published.digest) == 32 else "sha256").hexdigest()
    if found != published.digest:
        raise ConfigError(
            f"The file does not have the contents that were published. Received: {path} with digest {found}, expected "
            f"{published.digest}. Delete it and fetch {published.url} again, or use it as it is: model.weights={path}"
        )


def _download(published: Published, to: Path) -> None:
    """Write the file into the folder `to`, whole or not at all."""
    logger.info("downloading %s to %s", published.url, to)
    try:
        to.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to, prefix=".download-") as part, _patience(TIMEOUT):
            with contextlib.redirect_stdout(io.StringIO()):  # a progress bar
                found = keras.utils.get_file(
                    published.file, published.url, cache_dir=part, cache_subdir="", file_hash=published.digest
                )
            Path(found).replace(to / published.file)
    except Exception as error:  # Keras wraps what urllib raises in a plain Exception
        raise ConfigError(
            f"The weights {published.file} are not on this machine and could not be downloaded ({error}). "
            f"Received: model.weights=imagenet. Fetch {published.url} elsewhere and put it into {to}, or set "
            f"MEDEXP_WEIGHTS_DIR to a folder that holds {published.file}, or train without: model.weights=null"
        ) from error


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Keras downloads without a timeout of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
