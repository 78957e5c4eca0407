"""What the service answers, typed: with serve.model_facts the source of /openapi.json."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import BaseModel, Field

from medexp.registry.classification import Classification
from medexp.registry.passport import Passport
from medexp.types import Task
from serve.champion import Served, State

TASK = "multilabel: an image has any number of the classes. ordinal: the classes are grades, in their order."
CLASSES = "In the model's order. Binary: negative, positive. Ordinal: the grades in their order."
THRESHOLDS = (
    "A class is found from this probability on; chosen on validation. Binary: of the positive class. Multi-label: of "
    "every class. Else empty: the most probable class is found."
)


_POSSIBLE = (
    "The classes that cannot be ruled out: the true one is among them as often as `coverage` of the model says, on "
    "images like those of validation. Multi-label: the findings that may be there."
)
_UNDECIDED = (
    "Empty where the answer is sure. Else the classes that it may be; multi-label: the findings that can be neither "
    "confirmed nor ruled out."
)
_MAP = (
    "With `explain=true`: where in the image the network saw what speaks for (above 0) or against an answer, coarse "
    "rows from top to bottom, of the image as the network sees it; null for a network that has no such map. Binary: of "
    "the positive class; ordinal: of being above each grade but the last; else of every class."
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

    task: Task = Field(examples=["binary"], description=TASK)
    classes: list[str] = Field(examples=[["clear", "nodule"]], description=CLASSES)
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
    thresholds: dict[str, float] = Field(examples=[{"nodule": 0.41}], description=THRESHOLDS)
    possible: list[str] = Field(examples=[["nodule"]], description=_POSSIBLE)
    undecided: list[str] = Field(examples=[[]], description=_UNDECIDED)
    coverage: float = Field(examples=[0.9], description="How often, of each class, `possible` holds it.")
    refused: bool = Field(
        description="Whether the image is unlike those that the model has learnt from: do not use the answer."
    )
    strangeness: float | None = Field(
        description="How unlike; refused above `strangeness_limit`. Null: there is no number, and it is refused."
    )
    strangeness_limit: float | None = Field(
        description="Chosen on validation for a share of false refusals. Null: validation was too small to choose one, "
        "and no image with a `strangeness` is refused."
    )
    map: dict[str, list[list[float]]] | None = Field(default=None, description=_MAP)
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
            threshold=threshold(passport),
            thresholds=dict(passport.thresholds),
            possible=list(result.possible),
            undecided=list(result.undecided),
            coverage=passport.conformal.coverage,
            refused=result.strange,
            strangeness=finite(result.strangeness),
            strangeness_limit=finite(passport.strangeness.threshold),
            map=_map(result, passport),
            model=ModelName.of(served),
            request_id=request_id,
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


def _map(result: Classification, passport: Passport) -> dict[str, list[list[float]]] | None:
    """The class activation map by what it speaks for."""
    if result.map is None:
        return None
    names = passport.class_names
    outputs = names[1:] if passport.task == "binary" else names[:-1] if passport.task == "ordinal" else names
    return {name: result.map[..., i].tolist() for i, name in enumerate(outputs)}


def threshold(passport: Passport) -> float | None:
    """The one threshold of a binary task."""
    return None if passport.positive is None else passport.thresholds.get(passport.positive)


def finite(value: float | None) -> float | None:
    """JSON has no NaN."""
    return value if value is not None and math.isfinite(value) else None
