"""Deal out what a machine has to the trials that run on it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

Item = TypeVar("Item")
DEVICES = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Share:
    """What one of several trials may use.

    Attributes:
        cores: of the processors; empty: all.
        environment: variables that say the same of other devices.
    """

    cores: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def shares(slots: int, *, cores: Sequence[int], environment: Mapping[str, str]) -> tuple[Share, ...]:
    """Return what each of `slots` trials may use: neighbouring cores, and its part of the GPUs that are listed.

    A single trial uses all there is, as it would by itself. Where there are fewer than trials, some share one.

    Args:
        slots: trials at once.
        cores: that this process may run on.
        environment: of this process; GPUs are dealt out where CUDA_VISIBLE_DEVICES lists several.
    """
    if slots == 1:
        return (Share(),)
    devices = [device for device in environment.get(DEVICES, "").split(",") if device]
    dealt = _parts(devices, slots) if len(devices) > 1 else [()] * slots
    return tuple(
        Share(tuple(own), {DEVICES: ",".join(device)} if device else {})
        for own, device in zip(_parts(sorted(cores), slots), dealt, strict=True)
    )


def _parts(items: Sequence[Item], count: int) -> list[Sequence[Item]]:
    if len(items) <= count:
        return [items[slot % len(items) :][:1] for slot in range(count)]
    edges = [slot * len(items) // count for slot in range(count + 1)]
    return [items[start:end] for start, end in pairwise(edges)]
