"""Build what a `_target_` node names: the only caller of Hydra's `instantiate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException

from medexp.errors import ConfigError, MedexpError


def instantiate(path: str, node: Mapping[str, Any], **extra: Any) -> Any:
    """Return the object (or the partial) that the node at config path `path` describes.

    Raises:
        ConfigError: its constructor refused the values. A MedexpError that it raised comes through as it is.
    """
    try:
        return hydra.utils.instantiate(dict(node), _convert_="all", **extra)
    except InstantiationException as error:
        if isinstance(error.__cause__, MedexpError):
            raise error.__cause__ from error
        raise ConfigError(
            f"{path}: {node.get('_target_')} refused its values: {error.__cause__ or error}. Received: {dict(node)!r}."
        ) from error
