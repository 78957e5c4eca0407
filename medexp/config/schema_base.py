"""What all typed shells are made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Node = dict[str, Any]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(gt=0)]
Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
Name = Annotated[str, Field(strict=False, coerce_numbers_to_str=True, min_length=1)]


SMALLER_IS_BETTER = ("loss", "log_loss", "brier", "mean_absolute_error")
LARGER_IS_BETTER = (
    "auc", "accuracy", "balanced_accuracy", "subset_accuracy", "average_precision", "f1", "sensitivity", "specificity",
    "quadratic_kappa",
)  # fmt: skip


class Shell(BaseModel):
    """Frozen, and an unknown key is an error: a key that has no effect misleads."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ObjectiveConfig(Shell):
    """The metric that selects the best epoch, and its direction."""

    metric: Name
    mode: Literal["max", "min"]

    @model_validator(mode="after")
    def _makes_sense(self) -> ObjectiveConfig:
        if self.metric.startswith("test_"):
            raise ValueError(f"the test set must not select: {self.metric} becomes val_{self.metric[5:]}")
        name = self.metric.removeprefix("val_")
        wanted = "min" if name in SMALLER_IS_BETTER else "max" if name in LARGER_IS_BETTER else self.mode
        if wanted != self.mode:
            raise ValueError(f"of {self.metric} the best is the {wanted}imum: objective.mode={wanted}")
        return self
