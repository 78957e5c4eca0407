"""Build the application from its settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from anyio import CapacityLimiter
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles

from serve.cache import BundleCache
from serve.champion import Champion
from serve.logs import configure_logs
from serve.middleware.body_limit import BodyLimit
from serve.middleware.headers import SecurityHeaders
from serve.middleware.request import RequestContext
from serve.problems import describe, handlers
from serve.routes import UI, router
from serve.settings import Settings, load_settings
from serve.store import ModelStore


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application; it looks for a model once it is started, in the background.

    Args:
        settings: None reads conf/serve.yaml and the environment.

    Raises:
        ConfigError: the settings are wrong.
    """
    settings = settings or load_settings()
    configure_logs()
    champion = Champion(
        ModelStore(uri=settings.tracking_uri, name=settings.model_name, alias=settings.alias),
        BundleCache(settings.cache, threads=settings.threads),
        refresh_seconds=settings.refresh_seconds,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.turns = CapacityLimiter(settings.concurrency)
        watching = asyncio.create_task(champion.watch())
        yield
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    app = FastAPI(
        title="medexp",
        version="1",
        summary="Classify medical images with the champion of an MLflow registry. For research, not for diagnosis.",
        docs_url=None,  # these pages load scripts from other hosts
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers=handlers(),
        form_limits={"max_files": 1, "max_fields": 8, "max_part_size": 4096},
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(RequestContext),
            Middleware(BodyLimit, max_bytes=settings.max_bytes),
        ],
    )
    app.state.settings = settings
    app.state.champion = champion
    app.include_router(router())
    app.mount("/ui", StaticFiles(directory=UI), name="ui")
    app.openapi = describe(app)  # type: ignore[method-assign]
    return app
