"""What the service answers, typed: the source of /openapi.json."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import BaseModel, Field

from medexp.imaging.decode import FORMATS
from medexp.registry.bundle import Classification, Passport
from medexp.types import Task
from serve.champion import Served, State
from serve.settings import Settings

_TASK = "multilabel: an image has any number of the classes. ordinal: the classes are grades, in their order."
_CLASSES = "In the model's order. Binary: negative, positive. Ordinal: the grades in their order."
_THRESHOLDS = (
    "A class is found from this probability on; chosen on validation. Binary: of the positive class. Multi-label: of "
    "every class. Else empty: the most probable class is found."
)


class ModelName(BaseModel):
    """The model that gave an answer."""

    name: str = Field(examples=["medexp"])
    version: str = Field(examples=["3"], description="In the MLflow registry.")
    alias: str = Field(examples=["champion"])
    run_id: str = Field(description="The MLflow run that trained it.")

    @classmethod
    def of(cls, served: Served) -> Self:
        """Name what is served."""
        version = served.version
        run_id = served.bundle.passport.run_id
        return cls(name=version.name, version=version.number, alias=version.alias, run_id=run_id)


class Prediction(BaseModel):
    """One image classified."""

    task: Task = Field(examples=["binary"], description=_TASK)
    classes: list[str] = Field(examples=[["clear", "nodule"]], description=_CLASSES)
    label: str | None = Field(
        examples=["nodule"],
        description="Binary: by the threshold. Multi-class and ordinal: the most probable class. Multi-label: null.",
    )
    labels: list[str] = Field(
        examples=[["nodule"]],
        description="The classes found, in the model's order: the label alone; multi-label: any number, or none.",
    )
    probabilities: dict[str, float] = Field(
        examples=[{"clear": 0.18, "nodule": 0.82}],
        description="Of every class; they sum to 1, except for multi-label.",
    )
    positive: str | None = Field(examples=["nodule"], description="The class a binary task is about; else null.")
    threshold: float | None = Field(
        examples=[0.41], description="Binary: the positive class is the label from this probability on; else null."
    )
    thresholds: dict[str, float] = Field(examples=[{"nodule": 0.41}], description=_THRESHOLDS)
    model: ModelName
    request_id: str = Field(description="As in the header X-Request-ID and the service's log.")

    @classmethod
    def of(cls, result: Classification, served: Served, request_id: str) -> Self:
        """Say `result`, which `served` gave."""
        passport = served.bundle.passport
        return cls(
            task=passport.task,
            classes=list(passport.class_names),
            label=result.label,
            labels=list(result.labels),
            probabilities=dict(result.probabilities),
            positive=passport.positive,
            threshold=_threshold(passport),
            thresholds=dict(passport.thresholds),
            model=ModelName.of(served),
            request_id=request_id,
        )


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


class Accepts(BaseModel):
    """What may be sent."""

    formats: list[str]
    max_bytes: int = Field(description="Of the whole request.")
    max_pixels: int


class ModelFacts(ModelName):
    """The model that answers now, as its passport describes it."""

    network: str
    created: str
    task: Task = Field(description=_TASK)
    classes: list[str] = Field(description=_CLASSES)
    positive: str | None
    threshold: float | None
    thresholds: dict[str, float] = Field(description=_THRESHOLDS)
    input: Pixels
    metrics: dict[str, float]
    data: TrainedOn
    engine: str
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
            threshold=_threshold(passport),
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
            metrics={key: value for key, value in passport.metrics.items() if math.isfinite(value)},
            data=TrainedOn(
                name=str(passport.data.get("name", "unknown")),
                digest=str(passport.data.get("digest", "unknown")),
                synthetic=bool(passport.data.get("synthetic", False)),
            ),
            engine=str(passport.engine.get("kind", "unknown")),
            accepts=Accepts(formats=list(FORMATS), max_bytes=settings.max_bytes, max_pixels=settings.max_pixels),
        )


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """A model is loaded. `warning` says why it may not be the newest one."""

    status: Literal["ready"] = "ready"
    model: ModelName
    warning: str | None = Field(description="The store does not answer, or a newer version is broken.")
    checked: str | None = Field(description="When the registry was last looked at.")

    @classmethod
    def of(cls, served: Served, state: State) -> Self:
        """Say that `served` answers."""
        return cls(model=ModelName.of(served), warning=state.problem, checked=state.checked)


def _threshold(passport: Passport) -> float | None:
    """The one threshold of a binary task."""
    return None if passport.positive is None else passport.thresholds.get(passport.positive)
