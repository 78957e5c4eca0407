"""What the service answers, typed: the source of /openapi.json."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import BaseModel, Field

from medexp.imaging.decode import FORMATS
from medexp.registry.bundle import Classification
from serve.champion import Served, State
from serve.settings import Settings


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

    label: str = Field(examples=["nodule"], description="Binary: by the threshold. Else the most probable class.")
    probabilities: dict[str, float] = Field(
        examples=[{"clear": 0.18, "nodule": 0.82}], description="Of every class, in the model's order; they sum to 1."
    )
    positive: str | None = Field(examples=["nodule"], description="The class a binary task is about.")
    threshold: float | None = Field(
        examples=[0.41], description="The positive class is the label from this probability on; chosen on validation."
    )
    model: ModelName
    request_id: str = Field(description="As in the header X-Request-ID and the service's log.")

    @classmethod
    def of(cls, result: Classification, served: Served, request_id: str) -> Self:
        """Say `result`, which `served` gave."""
        passport = served.bundle.passport
        return cls(
            label=result.label,
            probabilities=dict(result.probabilities),
            positive=passport.positive,
            threshold=passport.threshold,
            model=ModelName.of(served),
            request_id=request_id,
        )


class Pixels(BaseModel):
    """What the network sees; images of any size are fitted to it by the service."""

    height: int
    width: int
    channels: int
    fit: Literal["letterbox", "stretch"]


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
    task: Literal["binary", "multiclass"]
    classes: list[str]
    positive: str | None
    threshold: float | None
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
            threshold=passport.threshold,
            input=Pixels(height=spec.height, width=spec.width, channels=spec.channels, fit=spec.fit),
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
