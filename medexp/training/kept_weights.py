"""The weights of the best epochs: on the disk, or in memory while that has no room."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path

import keras
import numpy as np

from medexp.errors import TrainingError
from medexp.training.course import SUFFIX, WEIGHTS, Kept
from medexp.training.whole_file import write_whole

Arrays = dict[str, np.ndarray]


class KeptWeights:
    """Files of the weights of single epochs, and what could not be written yet.

    A file is a NumPy archive (zip, a checksum for each member): of EfficientNet-B0 HDF5 takes 0.35 s, all of it in
    the way of the training, and this 0.05 s. `weights_file` makes HDF5 of the one that is chosen at the end.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[Kept, Arrays] = {}

    def hold(self, kept: Kept, network: keras.Model) -> None:
        """Take a copy of the weights of now."""
        self._held[kept] = {
            name: keras.ops.convert_to_numpy(weight).copy() for name, weight in _weights(network).items()
        }

    def drop(self, *, all_but: Collection[Kept]) -> None:
        """Forget what is held of other epochs."""
        self._held = {kept: arrays for kept, arrays in self._held.items() if kept in all_but}

    def write(self) -> None:
        """Put on the disk what is held.

        Raises:
            OSError: there is no room; the rest is still held.
        """
        for kept in list(self._held):
            self._write(kept)
            del self._held[kept]

    def load(self, kept: Kept, *, network: keras.Model) -> None:
        """Give `network` the weights of an epoch that is on the disk.

        Raises:
            TrainingError: the file is not there, damaged, or of another network.
        """
        path, variables = kept.path(self._folder), _weights(network)
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            if arrays.keys() != variables.keys():
                raise ValueError("it is of another network")
            for name, variable in variables.items():
                variable.assign(arrays[name])
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise TrainingError(
                f"The weights of epoch {kept.epoch} cannot be read ({error}). Received: {path}. Put the file back, or "
                "start a new run"
            ) from error

    def prune(self, *, all_but: Collection[Kept]) -> None:
        """Remove the files of other epochs."""
        wanted = {kept.path(self._folder) for kept in all_but}
        for path in (self._folder / WEIGHTS).glob(f"*{SUFFIX}"):
            if path not in wanted:
                path.unlink(missing_ok=True)

    def _write(self, kept: Kept) -> None:
        arrays = self._held[kept]
        write_whole(kept.path(self._folder), lambda file: np.savez(file, allow_pickle=False, **arrays))


def weights_file(network: keras.Model) -> bytes:
    """Return what `network.save_weights` would write of a network that is not compiled: HDF5, without an optimizer.

    HDF5 that meets a full disk leaves the process with a file that it cannot close, and crashes it at its exit; so it
    writes into memory. Keras' public function takes a path only.
    """
    from keras.src.saving.saving_lib import H5IOStore, _save_state

    optimizer = {id(network.optimizer)} if network.compiled else set()
    memory = io.BytesIO()
    store = H5IOStore(memory, mode="w")
    _save_state(network, weights_store=store, assets_store=None, inner_path="", visited_saveables=optimizer)
    store.close()
    return memory.getvalue()


def _weights(network: keras.Model) -> dict[str, keras.Variable]:
    """The variables of a network by their places: names may have counters of the process in them."""
    return {f"{index:04d}": weight for index, weight in enumerate(network.weights)}
