"""MedMNIST v2 npz files (Yang et al., Scientific Data 10:41, 2023), with their official split."""

from __future__ import annotations

import hashlib
import http.client
import logging
import urllib.request
import uuid
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medexp.data.source import Examples
from medexp.errors import DataError
from medexp.types import SPLITS, Split

logger = logging.getLogger(__name__)


class MedMnistSource:
    """Reads one npz file, found in a folder or downloaded from the official address.

    A copy found locally is accepted whatever its checksum when its arrays have the right shapes; a download
    must have the official checksum.

    Args:
        file: name of the npz file, looked for as `medmnist/<file>`.
        classes: class names in the order of the file's labels.
        search: folders to look in, in this order; None entries are skipped.
        download_to: the folder whose `medmnist/` receives a download.
        url: the official address.
        md5: the official checksum.
        timeout: seconds without an answer before a download is given up.
    """

    def __init__(
        self,
        *,
        file: str,
        classes: Sequence[str],
        search: Sequence[str | None],
        download_to: str,
        url: str,
        md5: str,
        timeout: float = 30.0,
    ) -> None:
        self._file = file
        self._classes = tuple(classes)
        self._search = [Path(folder).expanduser().absolute() / "medmnist" / file for folder in search if folder]
        self._download = Path(download_to).absolute() / "medmnist" / file
        self._url = url
        self._md5 = md5
        self._timeout = timeout

    def prepare(self) -> None:
        """Download the file where no folder has it (DataError where that fails)."""
        if self._found() is None:
            self._fetch()

    def examples(self) -> Examples:
        """Return the images of all three splits; keys are `<split>/<index>`."""
        path = self._found()
        assert path is not None, "prepare() comes first"
        images: list[np.ndarray] = []
        labels: list[np.ndarray] = []
        splits: list[Split] = []
        keys: list[str] = []
        for split, (pixels, targets) in self._arrays(path).items():
            images.extend(pixels)
            labels.append(targets)
            splits += [split] * len(pixels)
            keys += [f"{split}/{i:06d}" for i in range(len(pixels))]
        return Examples(
            keys=tuple(keys),
            labels=np.concatenate(labels),
            class_names=self._classes,
            read=images.__getitem__,
            origin=str(path),
            splits=tuple(splits),
        )

    def _found(self) -> Path | None:
        return next((path for path in [*self._search, self._download] if path.is_file()), None)

    def _arrays(self, path: Path) -> dict[Split, tuple[np.ndarray, np.ndarray]]:
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {split: (file[f"{split}_images"], file[f"{split}_labels"]) for split in SPLITS}
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(
                f"Not a MedMNIST file ({error}). Received: {path}. Delete it to have it downloaded anew from "
                f"{self._url}."
            ) from error
        for split, (pixels, targets) in arrays.items():
            colour = pixels.shape[3:] in ((), (3,))
            if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or not colour or targets.shape != (len(pixels), 1):
                raise DataError(
                    f"The arrays do not have MedMNIST's shapes. Received: {split}_images {pixels.dtype} "
                    f"{pixels.shape}, {split}_labels {targets.shape} in {path}; expected uint8 (n, height, width[, 3]) "
                    "and (n, 1)."
                )
            if len(targets) and not 0 <= targets.min() <= targets.max() < len(self._classes):
                raise DataError(
                    f"A label has no class. Received: {split}_labels from {targets.min()} to {targets.max()} in "
                    f"{path}, data.classes={list(self._classes)}."
                )
        return {split: (pixels, targets[:, 0].astype(np.int64)) for split, (pixels, targets) in arrays.items()}

    def _fetch(self) -> None:
        logger.info("downloading %s", self._url)
        try:
            with urllib.request.urlopen(self._url, timeout=self._timeout) as response:  # noqa: S310  the user's own URL
                content = response.read()
        except (http.client.HTTPException, OSError, ValueError) as error:  # ValueError: not a URL
            raise DataError(
                f"{self._file} is not on this machine and could not be downloaded ({getattr(error, 'reason', error)}). "
                f"Received: {self._url}. Fetch it elsewhere and put it at {self._download}, or set MEDEXP_DATA_DIR to "
                f"a folder that holds medmnist/{self._file}, or run without real data: data=phantom"
            ) from error
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if digest != self._md5:
            raise DataError(
                f"The download is not the published file. Received: MD5 {digest} from {self._url}, expected "
                f"{self._md5}. Nothing was kept. Fetch it elsewhere and put it at {self._download}."
            )
        self._download.parent.mkdir(parents=True, exist_ok=True)
        part = self._download.with_name(f".{self._file}.{uuid.uuid4().hex}.part")
        part.write_bytes(content)
        part.replace(self._download)
