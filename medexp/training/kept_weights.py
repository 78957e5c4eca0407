"""The weights of the best epochs: on the disk, or in memory while that has no room."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path

import keras

from medexp.training.course import WEIGHTS, Kept
from medexp.training.whole_file import write_whole


class KeptWeights:
    """Files of the weights of single epochs, and what could not be written yet.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[Kept, bytes] = {}

    def hold(self, kept: Kept, network: keras.Model) -> None:
        """Take a copy of the weights of now."""
        self._held[kept] = weights_file(network)

    def drop(self, *, all_but: Collection[Kept]) -> None:
        """Forget what is held of other epochs."""
        self._held = {kept: data for kept, data in self._held.items() if kept in all_but}

    def write(self) -> None:
        """Put on the disk what is held.

        Raises:
            OSError: there is no room; the rest is still held.
        """
        for kept, data in list(self._held.items()):
            write_whole(kept.path(self._folder), data)
            del self._held[kept]

    def prune(self, *, all_but: Collection[Kept]) -> None:
        """Remove the files of other epochs."""
        wanted = {kept.path(self._folder) for kept in all_but}
        for path in (self._folder / WEIGHTS).glob("*.weights.h5"):
            if path not in wanted:
                path.unlink(missing_ok=True)


def weights_file(network: keras.Model) -> bytes:
    """Return what `network.save_weights` would write.

    HDF5 that meets a full disk leaves the process with a file that it cannot close, and crashes it at its exit; so it
    writes into memory. Keras' public function takes a path only.
    """
    from keras.src.saving.saving_lib import H5IOStore, _save_state

    memory = io.BytesIO()
    store = H5IOStore(memory, mode="w")
    _save_state(network, weights_store=store, assets_store=None, inner_path="", visited_saveables=set())
    store.close()
    return memory.getvalue()
