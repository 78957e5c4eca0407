"""Load weights into a network: published ones, or those of an earlier run."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import keras
import numpy as np

from medexp.errors import ConfigError
from medexp.models.published import Published, find_published

logger = logging.getLogger(__name__)
Extent = Literal["backbone", "network"]


@dataclass(frozen=True)
class Pretrained:
    """Which weights a network starts from.

    Args:
        weights: `imagenet`, a file (see `load_weights`), or None for none.
        folders: where the published file is looked for, in this order; None entries are skipped.
        download_to: the folder that a download goes to; None for Keras' own cache.
        published: the file that `imagenet` means; None where there is none.
    """

    weights: str | None = None
    folders: Sequence[str | None] = ()
    download_to: str | None = None
    published: Published | None = None

    def path(self, network: str) -> Path | None:
        """Return the file, found or downloaded (ConfigError where it is not to be had for `network`)."""
        if self.weights != "imagenet":
            return None if self.weights is None else Path(self.weights).expanduser().absolute()
        if self.published is None:
            raise ConfigError(
                f"No ImageNet weights are published for {network} with these values. Received: model.weights=imagenet. "
                "Override: model.weights=<file of an earlier run> or model.weights=null"
            )
        return find_published(self.published, folders=self.folders, download_to=self.download_to)


def load_weights(network: keras.Model, backbone: keras.Model, path: Path) -> Extent:
    """Load a file into `network`, and say how much of one the file is.

    `backbone`: a network of `keras.applications` without its head, as published (`.h5`) or as
    `keras.Model.save_weights` writes it (`.weights.h5`). `network`: all of ours, such as `best.weights.h5` of a run;
    its head is taken over where it has the same shape, and left as it is where it has not.

    Args:
        network: ends with `classification_head`.
        backbone: shares its layers, or stands in for them: image to feature map.
        path: of the file.

    Raises:
        ConfigError: no such file, not a file of weights, or of another network.
    """
    if not path.is_file():
        raise ConfigError(
            f"There is no such file. Received: model.weights={path}. It can be `imagenet`, a file that ends in .h5 or "
            ".weights.h5, or null"
        )
    try:
        extent = _extent(path, backbone)
        if extent == "backbone":
            backbone.load_weights(path)
        else:
            _load_network(network, path)
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"These are not weights of {network.name} as it is configured ({_first_line(error)}). "
            f"Received: model.weights={path}. It takes weights of the same network: as published by Keras without the "
            "top (no_top, notop), or of an earlier run with the same values of `model`"
        ) from error
    with path.open("rb") as file:
        logger.info(
            "weights of the %s from %s, sha256 %s", extent, path, hashlib.file_digest(file, "sha256").hexdigest()
        )
    return extent


def _extent(path: Path, backbone: keras.Model) -> Extent:
    """Look into the file; Keras trusts its name, and passes over layers that the network has not."""
    with h5py.File(path) as file:
        if "layer_names" in file.attrs or "model_weights" in file:
            if path.name.endswith(".weights.h5"):
                raise ValueError("an older format, whose files end in .h5 alone: rename it")
            return "backbone"
        if not path.name.endswith(".weights.h5"):
            raise ValueError("not the format of files that end in .h5: if Keras 3 wrote it, name it ....weights.h5")
        found = [name for name, group in file["layers"].items() if _has_weights(group)]
    own = sum(bool(layer.weights) for layer in backbone.layers)
    if len(found) not in (own, own + 1):
        raise ValueError(f"{len(found)} layers with weights, where {own} are wanted and one for the head")
    return "backbone" if len(found) == own else "network"


def _has_weights(group: h5py.Group) -> bool:
    return group.visititems(lambda _, item: isinstance(item, h5py.Dataset) or None) is not None


def _load_network(network: keras.Model, path: Path) -> None:
    *_, head = [layer for layer in network.layers if layer.weights]
    network.load_weights(path, objects_to_skip=[head])
    dense = sum(type(layer) is keras.layers.Dense for layer in network.layers) - 1
    with h5py.File(path) as file:
        saved = file["layers"][f"dense_{dense}" if dense else "dense"]["vars"]
        weights = [np.asarray(saved[str(i)]) for i in range(len(head.weights))]
    if all(found.shape == tuple(own.shape) for found, own in zip(weights, head.weights, strict=True)):
        head.set_weights(weights)
    else:
        logger.info("the head is new: the file's has %d outputs, this one %d", weights[0].shape[-1], head.units)


def _first_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error))[:300]
