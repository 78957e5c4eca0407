"""How far each variable of a network is from its output, counted in steps of computation."""

from __future__ import annotations

from typing import Any

import keras

from medexp.models.weight_decay import decays


def layer_depths(network: keras.Model) -> list[tuple[keras.Variable, int]]:
    """Return each trainable or frozen weight of `network` with its depth: 0 for the head, and one more for each step.

    A step ends where all that is known of an image passes through one tensor: a convolution of a plain network, a
    residual block, the attention of a transformer. What has no kernel of its own (a norm, a position embedding)
    belongs to the step before it. So 16 residual blocks are 16 steps, not their 49 convolutions.

    Args:
        network: a functional model; a model within it is a step, as any other model is.
    """
    steps: list[list[keras.Variable]] = []
    for segment in _segments(network):
        weights = [weight for operation in segment for weight in getattr(operation, "weights", ())]
        if steps and not any(decays(weight) for weight in weights):
            steps[-1] += weights
        elif weights:
            steps.append(weights)
    if len(steps) > 1 and not any(decays(weight) for weight in steps[0]):  # a norm before all else
        steps[:2] = [steps[0] + steps[1]]
    return [(weight, len(steps) - 1 - place) for place, step in enumerate(steps) for weight in step]


def _segments(network: keras.Model) -> list[list[Any]]:
    """The operations of a network in their order, cut behind each that everything passes through."""
    operations = list(getattr(network, "operations", [network]))  # sorted: what is used comes before its users
    place = {id(operation): i for i, operation in enumerate(operations)}
    last_use = list(range(len(operations)))
    for i, operation in enumerate(operations):
        for parent in (parent for node in operation._inbound_nodes for parent in node.parent_nodes):
            maker = place.get(id(parent.operation), i)
            last_use[maker] = max(last_use[maker], i)
    segments: list[list[Any]] = [[]]
    open_until = 0
    for i, operation in enumerate(operations):
        segments[-1].append(operation)
        if open_until <= i:  # nothing made before is used behind it
            segments.append([])
        open_until = max(open_until, last_use[i])
    return [segment for segment in segments if segment]
