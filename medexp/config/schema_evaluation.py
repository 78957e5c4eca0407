"""The typed shells of an evaluation and of what only people know of a model."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from medexp.config.schema_base import Fraction, Name, Positive, Shell

_SHARE = re.compile(r"(sensitivity|specificity)>=(0?\.\d+|1(\.0+)?)")
_COST = re.compile(r"cost=(\d+(\.\d*)?|\.\d+)")
Engine = Literal["litert", "openvino", "onnx", "saved_model"]


class EvaluationConfig(Shell):
    """What is found out of a trained model. The file says what each key means."""

    resamples: Annotated[int, Field(ge=0)]
    confidence: Fraction
    calibration: Literal["none", "temperature", "vector", "isotonic"]
    operating_point: Name
    prevalence: Fraction | dict[str, Fraction] | None
    subgroups: Literal["all", "none"] | list[Name]
    smallest_subgroup: Positive
    corruptions: list[Literal["noise", "blur", "brightness", "jpeg"]]
    corrupted_images: Positive
    saliency: bool
    gallery: Positive
    coverage: Fraction
    false_refusal: Fraction
    feature_images: Positive
    engines: Annotated[list[Engine], Field(min_length=1)]
    report: bool

    @field_validator("operating_point")
    @classmethod
    def _is_an_aim(cls, aim: str) -> str:
        text = aim.replace(" ", "")
        cost = _COST.fullmatch(text)
        if text == "youden" or _SHARE.fullmatch(text) or (cost and float(cost[1]) > 0):
            return text
        raise ValueError(
            f"should be youden, sensitivity>=0.95, specificity>=0.9 or cost=10. Received: {aim!r}. "
            "In a shell: 'evaluation.operating_point=\"sensitivity>=0.95\"'"
        )


class CardConfig(Shell):
    """What the model card says that no program can find out; None, as in runs older than a key, is listed as open."""

    intended_use: str | None = None
    not_for: str | None = None
    population: str | None = None
    dates: str | None = None
    reference_standard: str | None = None
    limitations: str | None = None
    ethics: str | None = None
    funding: str | None = None
    conflicts: str | None = None
    protocol: str | None = None
    registration: str | None = None
    license: str | None = None
    contact: str | None = None
