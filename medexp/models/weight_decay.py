"""Which variables weight decay is for."""

from __future__ import annotations

import keras

SPARED = ("bias", "embed", "position", "token")


def decays(variable: keras.Variable) -> bool:
    """Whether weight decay pulls `variable` towards 0: kernels, and whatever else is a matrix or more.

    Not what has one axis: biases, the scale and shift of a normalisation, a LayerScale. Nor, whatever its axes, a bias
    of attention, a position embedding or a class token, for which 0 is no simpler than another value (as Touvron et
    al., DeiT, 2021, and most recipes of transformers).
    """
    if len(variable.shape) < 2:
        return False
    return "kernel" in variable.name or not any(word in variable.path.lower() for word in SPARED)
