"""Names of classes as part of a metric's name."""

from __future__ import annotations

import re
from collections.abc import Sequence


def metric_keys(class_names: Sequence[str]) -> dict[str, str]:
    """Return for each class a text that MLflow allows in `auc/<text>`; no two are equal."""
    keys = [re.sub(r"[^\w\- ]+", "_", name) for name in class_names]
    unique = len(set(keys)) == len(keys)
    return {name: key if unique else f"{key} {i}" for i, (name, key) in enumerate(zip(class_names, keys, strict=True))}
