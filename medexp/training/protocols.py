"""What the trainer asks of a module and of data."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import keras

from medexp.types import DataSpec


class Module(Protocol):
    """What is learned."""

    def build(self, spec: DataSpec) -> keras.Model:
        """The untrained network."""

    def freeze(
        self, network: keras.Model, *, train: str | float, batch_norm: Literal["train", "freeze"], phase: str
    ) -> int:
        """Decide which layers learn; return how many parameters do."""

    def compile_args(
        self,
        spec: DataSpec,
        network: keras.Model,
        *,
        total_steps: int,
        steps_per_epoch: int,
        learning_rate: float | None = None,
    ) -> dict[str, Any]:
        """New loss, optimizer and metrics."""


class Data(Protocol):
    """What it is learned from."""

    @property
    def spec(self) -> DataSpec:
        """The facts of the data."""

    def train(self, steps: int | None) -> Any:
        """Training batches, a PyDataset that is `Shuffled`: all, or at most `steps` of each epoch."""

    def val(self) -> keras.utils.PyDataset:
        """Validation batches."""
