"""A network that has forgotten what it learnt, from its output downwards."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Randomised:
    """A network whose layers nearest to the output have random weights.

    Args:
        random: how many layers these are.
        layers: how many layers have learnt weights at all.
        network: has these weights until the next one is asked for.
    """

    random: int
    layers: int
    network: keras.Model


def cascade(network: keras.Model, *, shares: Sequence[float], seeds: Sequence[int]) -> Iterator[Randomised]:
    """Give `network` with ever more of its layers initialised anew (Adebayo et al., NeurIPS 2018, section 3.1).

    The network itself keeps its weights. All that is given is one copy of it whose weights change, so that it is
    compiled once: use it before asking for the next. Statistics that pixels are scaled by are not learnt, and stay.

    Args:
        network: functional.
        shares: of the layers with weights, counted from the output, 0 to 1, rounded to whole layers but at least one.
        seeds: of the random weights, every share with each; the random numbers of others are left as they are.
    """
    copy = _initialised(network, seeds[0])
    pairs = []
    for old, new in zip(network.layers, copy.layers, strict=True):
        if isinstance(old, keras.layers.Normalization):
            new.set_weights(old.get_weights())
            new.finalize_state()
        elif old.weights:
            pairs.append((old, new))
    learnt = [old.get_weights() for old, _ in pairs]
    for seed in seeds:
        other = _initialised(network, seed)
        fresh = [other.get_layer(new.name).get_weights() for _, new in pairs]
        for share in shares:
            count = max(1, round(share * len(pairs)))
            kept = len(pairs) - count
            for place, (_, new) in enumerate(pairs):
                new.set_weights(fresh[place] if place >= kept else learnt[place])
            yield Randomised(count, len(pairs), copy)


def _initialised(network: keras.Model, seed: int) -> keras.Model:
    """A copy with the weights of a beginning. Keras draws the seeds of initialisers from Python's random numbers."""
    before = random.getstate()
    random.seed(f"forgotten {seed}")  # the seed of a training would bring back the weights that it began with
    try:
        return keras.models.clone_model(network)
    finally:
        random.setstate(before)
