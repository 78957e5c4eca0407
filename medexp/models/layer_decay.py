"""Layer-wise learning-rate decay: the further a layer is from the output, the smaller its steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras


class LayerDecay:
    """Mixed into a Keras optimizer: the update of a variable, and its weight decay, are a share of the optimizer's own.

    The learning rate is what is scaled: a scaled gradient would change nothing for Adam and Lion, whose steps do not
    depend on its length. Variables and state are those of the optimizer without it.
    """

    weight_decay: float | None

    def share_out(self, shares: Iterable[tuple[keras.Variable, float]]) -> None:
        """Set the share of each variable; 1 for what is not named."""
        self._shares = {self._var_key(variable): share for variable, share in shares}  # type: ignore[attr-defined]
        self._whole_weight_decay = self.weight_decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """The optimizer's update at a share of the learning rate."""
        super().update_step(gradient, variable, learning_rate * self._share(variable))  # type: ignore[misc]

    def _apply_weight_decay(self, variables: Any) -> None:
        """Keras' own, which multiplies by the whole learning rate, for the variables of each share in turn."""
        if self._whole_weight_decay is None:
            return
        groups: dict[float, list[Any]] = {}
        for variable in variables:
            groups.setdefault(self._share(variable), []).append(variable)
        try:
            for share, group in groups.items():
                self.weight_decay = self._whole_weight_decay * share
                super()._apply_weight_decay(group)  # type: ignore[misc]
        finally:
            self.weight_decay = self._whole_weight_decay

    def _share(self, variable: Any) -> float:
        return self._shares.get(self._var_key(variable), 1.0)  # type: ignore[attr-defined]


def with_layer_decay(optimizer: type[keras.Optimizer]) -> type[keras.Optimizer]:
    """Return a subclass of an optimizer with `LayerDecay`, of the same name."""
    return type(optimizer.__name__, (LayerDecay, optimizer), {})
