"""Validate, select and save the moving average of the weights in place of the last ones."""

from __future__ import annotations

import keras


class MovingAverage(keras.callbacks.Callback):
    """Puts the optimizer's moving average of the weights into the network from validation to the end of the epoch.

    Validation, the best weights and whatever callback comes before this one see the average (Polyak and Juditsky,
    1992); training goes on with the weights that it had, bit for bit: `keras.callbacks.SwapEMAWeights` swaps by sums
    on TensorFlow, which rounds them. Statistics of batch normalisation are of the last weights in both.

    Does nothing where the optimizer keeps no average (`optimizer.use_ema`).
    """

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """The last weights are in the network."""
        self._swapped = False

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Put the average in."""
        if not self._swapped:
            self._swap()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Put the last weights back."""
        if self._swapped:
            self._swap()

    def _swap(self) -> None:
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        if not optimizer.use_ema:
            return
        for weight, average in zip(
            optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
        ):
            if average is not None:
                last = keras.ops.convert_to_numpy(weight).copy()
                weight.assign(average)
                average.assign(last)
        self._swapped = not self._swapped
