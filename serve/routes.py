"""The routes: predict, model, health, and the page."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, File, Query, Request, UploadFile
from starlette.responses import FileResponse

from serve.answers import Alive, Prediction, Ready
from serve.champion import Champion
from serve.model_facts import ModelFacts
from serve.problems import Problem
from serve.settings import Settings

UI = Path(__file__).parent / "ui"
_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "Not an image, damaged, or too many pixels"},
    413: {"model": Problem, "description": "The request is too large"},
    422: {"model": Problem, "description": "No file named `image`, or a wrong `explain`"},
}
_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": Problem, "description": "No model is ready"}}


def _champion(request: Request) -> Champion:
    found: Champion = request.app.state.champion
    return found


def _settings(request: Request) -> Settings:
    found: Settings = request.app.state.settings
    return found


def _turns(request: Request) -> CapacityLimiter:
    found: CapacityLimiter = request.app.state.turns
    return found


TheChampion = Annotated[Champion, Depends(_champion)]
TheSettings = Annotated[Settings, Depends(_settings)]
Turns = Annotated[CapacityLimiter, Depends(_turns)]
_FILE = "A PNG, JPEG, TIFF, BMP, WebP or DICOM file. Of several images in a file: the one trained on, or none."
Image = Annotated[UploadFile, File(description=_FILE)]
Explain = Annotated[bool, Query(description="Whether the answer holds the class activation map.")]


def router() -> APIRouter:
    """Return the routes; they find champion, settings and turns in `app.state`."""
    routes = APIRouter()

    @routes.post("/v1/predict", tags=["v1"], responses={**_REFUSED, **_NOT_READY})
    async def predict(
        request: Request,
        image: Image,
        champion: TheChampion,
        settings: TheSettings,
        turns: Turns,
        explain: Explain = False,
    ) -> Prediction:
        """Classify one image."""
        served = champion.require()
        request.state.run_id = served.bundle.passport.run_id
        request.state.model_version = served.version.number
        classify = partial(
            served.bundle.classify, name=_shown(image.filename), max_pixels=settings.max_pixels, explain=explain
        )
        async with turns:  # who waits has its image on disk, not in memory
            data = await image.read()
            result = await to_thread.run_sync(classify, data)
        return Prediction.of(result, served, request.state.request_id)

    @routes.get("/v1/model", tags=["v1"], responses=_NOT_READY)
    async def model(champion: TheChampion, settings: TheSettings) -> ModelFacts:
        """Describe the model that answers."""
        return ModelFacts.describe(champion.require(), settings)

    @routes.get("/health/live", tags=["health"])
    async def live() -> Alive:
        """Say that the process answers."""
        return Alive()

    @routes.get("/health/ready", tags=["health"], responses=_NOT_READY)
    async def ready(champion: TheChampion) -> Ready:
        """Say whether a model is loaded, and which."""
        return Ready.of(champion.require(), champion.state)

    @routes.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        """Show the page."""
        return FileResponse(UI / "index.html")

    return routes


def _shown(filename: str | None) -> str:
    """A client's file name as it may stand in a sentence."""
    name = "".join(c for c in (filename or "") if c.isprintable()).replace("\\", "/").rpartition("/")[2]
    return name[-80:] or "image"
