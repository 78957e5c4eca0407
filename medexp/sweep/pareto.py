"""Which trials no other one beats in every objective."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medexp.sweep.records import Record
from medexp.types import Objective


def pareto_front(records: Sequence[Record], objectives: Sequence[Objective]) -> tuple[Record, ...]:
    """Return the complete trials that no other one dominates, the best by the first objective first.

    One trial dominates another where it is at least as good in every objective and better in one. Of equal trials all
    are on the front.
    """
    ended = [record for record in records if record.state == "complete" and len(record.values) == len(objectives)]
    if not ended:
        return ()
    signs = np.array([-1.0 if objective.mode == "max" else 1.0 for objective in objectives])
    losses = np.array([record.values for record in ended]) * signs
    keep = np.isfinite(losses).all(axis=1)
    order = [row for row in np.lexsort(losses.T[::-1]) if keep[row]]
    front: list[int] = []
    for row in order:  # whatever dominates a row comes before it
        known = losses[front]
        beaten = (known <= losses[row]).all(axis=1) & (known < losses[row]).any(axis=1)
        if not beaten.any():
            front.append(int(row))
    return tuple(ended[row] for row in front)
