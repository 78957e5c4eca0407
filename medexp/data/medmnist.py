"""MedMNIST v2 npz files (Yang et al., Scientific Data 10:41, 2023), with their official split."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from medexp.data.download import download
from medexp.data.npz import DAMAGE, ArrayHeader, NpzImages, read_header
from medexp.data.source import Examples
from medexp.errors import DataError
from medexp.types import SPLITS, Split


class MedMnistSource:
    """Reads one npz file, found in a folder or downloaded from the official address.

    A copy found locally is accepted whatever its checksum when its arrays have the right shapes; a download
    must have the official checksum. Only labels are read at once, images when they are wanted.

    Args:
        dataset: what the file is called: `medmnist/<dataset>.npz`, and `medmnist/<dataset>_<size>.npz` above 28.
        size: height and width of the images.
        names: of the classes, in the order of the file's labels.
        search: folders to look in, in this order; None entries are skipped.
        download_to: the folder whose `medmnist/` receives a download.
        url: the official address of the folder.
        md5: the official checksum of the file of each size, by the size as text.
        timeout: seconds without an answer before a download is given up.
    """

    def __init__(
        self,
        *,
        dataset: str,
        size: Literal[28, 64, 128, 224],
        names: Sequence[str],
        search: Sequence[str | None],
        download_to: str,
        url: str,
        md5: Mapping[str, str],
        timeout: float = 30.0,
    ) -> None:
        file = f"{dataset}.npz" if size == 28 else f"{dataset}_{size}.npz"
        self._size = size
        self._names = tuple(names)
        self._search = [Path(folder).expanduser().absolute() / "medmnist" / file for folder in search if folder]
        self._download = Path(download_to).expanduser().absolute() / "medmnist" / file
        self._url = f"{url.rstrip('/')}/{file}"
        self._md5 = md5.get(str(size))
        self._timeout = timeout

    def prepare(self) -> None:
        """Download the file where no folder has it (DataError where that fails)."""
        if self._found() is None:
            to = self._download
            if self._md5 is None:
                raise DataError(
                    f"No checksum is known of this size, so it is not downloaded. Received: data.size={self._size}. "
                    f"Put the file at {to}, or override: +data.md5.{self._size}=..."
                )
            otherwise = (
                f"Fetch it elsewhere and put it at {to}, or set MEDEXP_DATA_DIR to a folder that holds "
                f"medmnist/{to.name}, or run without real data: data=phantom"
            )
            download(self._url, to, md5=self._md5, timeout=self._timeout, otherwise=otherwise)

    def examples(self) -> Examples:
        """Return the images of all three splits; keys are `<split>/<index>`, the index that of the file."""
        path = self._found()
        assert path is not None, "prepare() comes first"
        headers: list[ArrayHeader] = []
        labels: dict[Split, np.ndarray] = {}
        try:
            with zipfile.ZipFile(path) as file, np.load(path, allow_pickle=False) as arrays:
                for split in SPLITS:
                    headers.append(read_header(file, f"{split}_images"))
                    labels[split] = arrays[f"{split}_labels"]
        except (OSError, *DAMAGE) as error:
            raise DataError(
                f"Not a MedMNIST file ({error}). Received: {path}. Delete it to have it downloaded anew from "
                f"{self._url}."
            ) from error
        for header, (split, targets) in zip(headers, labels.items(), strict=True):
            self._check(header, split, targets, like=labels["train"], path=path)
        together = np.concatenate(list(labels.values())).astype(np.int64)
        counts = {split: len(targets) for split, targets in labels.items()}
        return Examples(
            keys=tuple(f"{split}/{i:06d}" for split, count in counts.items() for i in range(count)),
            labels=together[:, 0] if together.shape[1] == 1 else together,
            class_names=self._names,
            images=NpzImages(path, headers),
            origin=str(path),
            ordered=True,
            splits=tuple(split for split, count in counts.items() for _ in range(count)),
        )

    def _found(self) -> Path | None:
        return next((path for path in [*self._search, self._download] if path.is_file()), None)

    def _check(self, header: ArrayHeader, split: Split, targets: np.ndarray, *, like: np.ndarray, path: Path) -> None:
        square = (self._size, self._size)
        images = header.dtype == "uint8" and header.shape[1:] in (square, (*square, 3))
        whole = targets.ndim == 2 and targets.dtype.kind in "ui" and targets.shape[1] in (1, len(self._names))
        whole = whole and targets.shape[1:] == like.shape[1:]
        if not images or not whole or len(targets) != header.shape[0]:
            raise DataError(
                f"The arrays do not have MedMNIST's shapes. Received: {split}_images {header.dtype} {header.shape}, "
                f"{split}_labels {targets.dtype} {targets.shape} in {path}; expected uint8 (n, {self._size}, "
                f"{self._size}[, 3]) for data.size={self._size}, and whole numbers (n, 1), or (n, {len(self._names)}) "
                "for several labels."
            )
        highest = len(self._names) - 1 if targets.shape[1] == 1 else 1
        if len(targets) and not 0 <= targets.min() <= targets.max() <= highest:
            raise DataError(
                f"A label has no class. Received: {split}_labels from {targets.min()} to {targets.max()} in "
                f"{path}, data.names={list(self._names)}."
            )
