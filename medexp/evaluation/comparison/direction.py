"""Which way a metric is good."""

from __future__ import annotations

from medexp.types import Mode

_ERRORS = ("log_loss", "brier", "mean_absolute_error", "ece", "loss")


def direction(metric: str) -> Mode:
    """Return `min` for errors and losses, of a class too (`brier/nodule`), and `max` for all others."""
    return "min" if metric.partition("/")[0] in _ERRORS else "max"
