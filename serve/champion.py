"""The model that answers: looked up in the background, swapped between two requests."""

from __future__ import annotations

import asyncio
import datetime
import logging
import time
from dataclasses import dataclass

from anyio import to_thread

from medexp.errors import RegistryError
from medexp.registry.bundle import Bundle
from serve.cache import BundleCache
from serve.errors import FIRST_STEPS, NoChampionError, NotReadyError, StoreUnavailableError
from serve.store import ModelStore
from serve.version import Version

logger = logging.getLogger(__name__)
_LONGEST_PAUSE = 300.0  # seconds between attempts to load a version that is broken


@dataclass(frozen=True)
class Served:
    """A version and its bundle. A request takes it once and keeps it, whatever is swapped meanwhile."""

    version: Version
    bundle: Bundle


@dataclass(frozen=True)
class State:
    """What is served, and what is wrong: `served` may be there with a `problem`. `checked` is ISO 8601, UTC."""

    served: Served | None = None
    problem: str | None = "The model is being looked up."
    checked: str | None = None


class Champion:
    """Follows the alias. The version that answers is kept when the store goes away or a new version is broken,
    and given up when the registry says that no version has the alias.

    Args:
        store: where the alias is.
        cache: where bundles are.
        refresh_seconds: between two looks.
    """

    def __init__(self, store: ModelStore, cache: BundleCache, *, refresh_seconds: float) -> None:
        self._store = store
        self._cache = cache
        self._seconds = refresh_seconds
        self._broken: Version | None = None
        self._why = ""
        self._attempts = 0
        self._not_before = 0.0
        self.state = State()

    def require(self) -> Served:
        """Return what is served now (or NotReadyError)."""
        state = self.state
        if state.served is None:
            raise NotReadyError(state.problem)
        return state.served

    async def watch(self) -> None:
        """Look at the alias now and every `refresh_seconds`, until cancelled."""
        while True:
            state = await to_thread.run_sync(self.look, abandon_on_cancel=True)
            self._report(state)
            self.state = state
            await asyncio.sleep(self._seconds)

    def look(self) -> State:
        """Look once, load what is new, and return what shall be served from now on. Blocks; raises nothing."""
        served = self.state.served
        problem: str | None = None
        try:
            version = self._store.resolve()
            if served is None or served.version != version:
                served = self._load(version)
        except NoChampionError as error:
            served, problem = None, str(error)
        except StoreUnavailableError as error:
            problem = str(error) if served else f"{error} {FIRST_STEPS}"
        except RegistryError as error:
            problem = str(error)
        except Exception as error:  # the service must outlive whatever a registry may hold
            logger.exception("the model could not be loaded")
            problem = f"The model could not be loaded ({type(error).__name__}). The service's log says more."
        return State(served, problem, datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))

    def _load(self, version: Version) -> Served:
        """Open and try `version`. One that was broken is tried again after ever longer pauses."""
        if version == self._broken and time.monotonic() < self._not_before:
            raise RegistryError(self._why)
        self._attempts = self._attempts + 1 if version == self._broken else 1
        self._broken = version
        self._not_before = time.monotonic() + min(self._seconds * 2**self._attempts, _LONGEST_PAUSE)
        try:
            bundle = self._cache.open(version, self._store.download)
            bundle.verify()  # the first answers are the slowest, too
        except Exception as error:
            self._why = str(error)
            raise
        self._broken = None
        return Served(version, bundle)

    def _report(self, state: State) -> None:
        """Log what has changed since the last look."""
        before = self.state
        if state.served is not None and (before.served is None or before.served.version != state.served.version):
            version = state.served.version
            logger.info(
                "serving %s version %s with %s", version.name, version.number, state.served.bundle.engine.kind,
                extra={"model_version": version.number, "run_id": state.served.bundle.passport.run_id},
            )  # fmt: skip
        if state.problem != before.problem and state.problem is not None:
            logger.warning("%s", state.problem)
