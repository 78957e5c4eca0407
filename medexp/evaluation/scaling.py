"""The scale and shift of logits that make probabilities true on validation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import optimize

from medexp.evaluation.logits import activated
from medexp.types import Task

_LIMITS = (1e-2, 1e2)  # of a scale: what needs one beyond has nothing to do with how often


def best_temperature(logits: np.ndarray, targets: np.ndarray, *, task: Task) -> float | None:
    """Return the one scale, 1 / temperature, of least cross-entropy (Guo et al., ICML 2017).

    Args:
        logits: (n, outputs).
        targets: of each output, between 0 and 1, (n, outputs); NaN where an output is not asked. Multi-class: rows sum
            to 1.
        task: says the activation.

    Returns:
        None where no scale within reason is best: the logits rank no better than chance.
    """

    def slope(logarithm: float) -> float:
        return float(np.nansum((activated(np.exp(logarithm) * logits, task=task) - targets) * logits))

    low, high = np.log(_LIMITS)
    if not slope(low) < 0 < slope(high):
        return None
    return float(np.exp(optimize.brentq(slope, low, high, xtol=1e-10)))


def best_scales(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return scale and shift (outputs,) of each logit of a softmax (vector scaling), or None as `best_temperature`.

    Args:
        logits: less their mean over the classes, (n, outputs).
        targets: rows sum to 1, (n, outputs).
    """
    outputs = logits.shape[1]

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        moved = values[:outputs] * logits + values[outputs:]
        said = activated(moved, task="multiclass")
        wrong = (said - targets) / len(logits)
        entropy = -float((targets * np.log(said.clip(1e-300))).sum()) / len(logits)
        return entropy, np.concatenate([(wrong * logits).sum(axis=0), wrong.sum(axis=0)])

    found = _minimum(loss, outputs)
    if found is None:
        return None
    return found[:outputs], found[outputs:] - found[outputs:].mean()


def platt(logits: np.ndarray, targets: np.ndarray) -> tuple[float, float] | None:
    """Return scale and shift of the logits (n,) of one sigmoid (Platt, 1999), or None as `best_temperature`."""

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        moved = values[0] * logits + values[1]
        wrong = (activated(moved, task="binary") - targets) / len(logits)
        entropy = float((np.logaddexp(0, moved) - targets * moved).mean())
        return entropy, np.array([(wrong * logits).sum(), wrong.sum()])

    found = _minimum(loss, 1)
    return None if found is None else (float(found[0]), float(found[1]))


def _minimum(loss: Callable[[np.ndarray], tuple[float, np.ndarray]], outputs: int) -> np.ndarray | None:
    """Of scales, which stay positive lest ranks turn round, and shifts; None where none or an endless one is best."""
    start = np.concatenate([np.ones(outputs), np.zeros(outputs)])
    bounds = [_LIMITS] * outputs + [(None, None)] * outputs
    options = {"maxiter": 2000, "ftol": 1e-14, "gtol": 1e-9}
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    scales = found[:outputs]
    useful = (scales > _LIMITS[0] * 1.01).any() and (scales < _LIMITS[1] / 1.01).all() and np.isfinite(found).all()
    return found if useful else None
