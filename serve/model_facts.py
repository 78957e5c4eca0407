"""What the service says of the model that answers, typed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, Field

from medexp.imaging.decode import FORMATS
from medexp.registry.passport import EngineRecord, Passport
from medexp.types import Estimate, Task
from serve.answers import CLASSES, TASK, THRESHOLDS, ModelName, finite, threshold
from serve.champion import Served
from serve.settings import Settings


class Pixels(BaseModel):
    """What the network sees; images of any size are fitted to it by the service."""

    height: int
    width: int
    channels: int
    fit: Literal["letterbox", "crop", "stretch"]
    bits: Literal[8, 16]
    intensity: Literal["file", "full", "window", "percentiles"] = Field(
        description="Which stored values are black and white."
    )
    window: tuple[float, float] | None = Field(description="Centre and width, for intensity=window.")
    percentiles: tuple[float, float] | None = Field(description="Low and high, for intensity=percentiles.")
    frame: int | None = Field(description="Which frame of a file of many, from 0; null refuses such a file.")


class TrainedOn(BaseModel):
    """The data set."""

    name: str
    digest: str
    synthetic: bool = Field(description="Whether the images were drawn by a program: such a model is a demonstration.")


class Interval(BaseModel):
    """A number measured on the test split, with its interval."""

    value: float
    low: float
    high: float


class OperatingFacts(BaseModel):
    """How the thresholds were chosen, and what validation has of them."""

    aim: str = Field(examples=["sensitivity>=0.95"])
    met: bool = Field(description="Whether validation reaches the aim; where it cannot, the nearest point is taken.")
    sensitivity: dict[str, Interval] = Field(description="By class, on validation.")
    specificity: dict[str, Interval] = Field(description="By class, on validation.")

    @classmethod
    def of(cls, passport: Passport) -> Self:
        """Describe the operating point."""
        point = passport.operating_point
        return cls(
            aim=point.aim,
            met=point.met,
            sensitivity=_intervals({name: achieved.sensitivity for name, achieved in point.achieved.items()}),
            specificity=_intervals({name: achieved.specificity for name, achieved in point.achieved.items()}),
        )


class EngineFacts(BaseModel):
    """One exported graph, as it was measured where it was exported."""

    kind: str
    agrees: bool = Field(description="With Keras, on validation images.")
    why_not: str | None
    difference: float | None = Field(description="Largest difference in probability to Keras.")
    milliseconds: dict[str, float] | None = Field(description="Median of a batch of 1 and of 8 images.")

    @classmethod
    def of(cls, record: EngineRecord) -> Self:
        """Describe `record`."""
        return cls(
            kind=record.kind,
            agrees=record.agrees,
            why_not=record.why_not,
            difference=finite(record.difference),
            milliseconds=None if record.milliseconds is None else dict(record.milliseconds),
        )


class Accepts(BaseModel):
    """What may be sent."""

    formats: list[str]
    max_bytes: int = Field(description="Of the whole request.")
    max_pixels: int


class ModelFacts(ModelName):
    """The model that answers now, as its passport describes it."""

    network: str
    created: str
    task: Task = Field(description=TASK)
    classes: list[str] = Field(description=CLASSES)
    positive: str | None
    threshold: float | None
    thresholds: dict[str, float] = Field(description=THRESHOLDS)
    input: Pixels
    metrics: dict[str, float] = Field(description="On the test split.")
    intervals: dict[str, Interval] = Field(description="The same with their intervals.")
    operating_point: OperatingFacts
    calibration: str = Field(examples=["temperature"], description="What is inside the model.")
    coverage: float = Field(description="How often, of each class, `possible` holds it.")
    false_refusal: float = Field(description="Share of images like those of validation that are refused.")
    strangeness_limit: float | None = Field(
        description="Images above it are refused. Null: validation was too small to choose one, and none is."
    )
    intended_use: str | None = Field(description="Null: nobody has said.")
    not_for: str | None = Field(description="Null: nobody has said.")
    data: TrainedOn
    engine: str = Field(description="The one that answers here.")
    engines: list[EngineFacts] = Field(description="All that were exported.")
    accepts: Accepts

    @classmethod
    def describe(cls, served: Served, settings: Settings) -> Self:
        """Describe what is served."""
        passport = served.bundle.passport
        spec = passport.input
        return cls(
            **ModelName.of(served).model_dump(),
            network=passport.model,
            created=passport.created,
            task=passport.task,
            classes=list(passport.class_names),
            positive=passport.positive,
            threshold=threshold(passport),
            thresholds=dict(passport.thresholds),
            input=Pixels(
                height=spec.height,
                width=spec.width,
                channels=spec.channels,
                fit=spec.fit,
                bits=spec.bits,
                intensity=spec.intensity,
                window=spec.window,
                percentiles=spec.percentiles,
                frame=spec.frame,
            ),
            metrics={key: found.value for key, found in passport.metrics.items() if math.isfinite(found.value)},
            intervals=_intervals(passport.metrics),
            operating_point=OperatingFacts.of(passport),
            calibration=passport.calibration.method,
            coverage=passport.conformal.coverage,
            false_refusal=passport.strangeness.false_refusal,
            strangeness_limit=finite(passport.strangeness.threshold),
            intended_use=passport.facts.get("intended_use"),
            not_for=passport.facts.get("not_for"),
            data=TrainedOn(
                name=str(passport.data.get("name", "unknown")),
                digest=str(passport.data.get("digest", "unknown")),
                synthetic=bool(passport.data.get("synthetic", False)),
            ),
            engine=served.bundle.engine.kind,
            engines=[EngineFacts.of(record) for record in passport.engines],
            accepts=Accepts(formats=list(FORMATS), max_bytes=settings.max_bytes, max_pixels=settings.max_pixels),
        )


def _intervals(found: Mapping[str, Estimate]) -> dict[str, Interval]:
    """Those that are numbers."""
    return {
        name: Interval(value=one.value, low=one.low, high=one.high)
        for name, one in found.items()
        if math.isfinite(one.value) and math.isfinite(one.low) and math.isfinite(one.high)
    }
