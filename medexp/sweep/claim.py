"""Of all sweepers that work on a study, on any machine, one writes its parent run."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol

from medexp.sweep.lease import ATTRIBUTE, Lease, Timing, Watch

logger = logging.getLogger(__name__)
WRITER = "parent_writer"  # attribute of the study


class Attributes(Protocol):
    """The attributes of a study, which all that work on it see."""

    def user_attr(self, key: str, /) -> Any:
        """Return an attribute; None where there is none."""

    def set_user_attr(self, key: str, value: Any, /) -> None:
        """Store an attribute: the last one who does so wins."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold a lock that nobody else holds meanwhile."""


class Claim:
    """A lease on the parent run, in the study's attributes. It is renewed by a thread until the context is left.

    Args:
        attributes: of the study.
        timing: of leases.
    """

    def __init__(self, attributes: Attributes, *, timing: Timing | None = None) -> None:
        self._attributes = attributes
        self._timing = timing or Timing()
        self._mine = Lease.of(os.getpid())
        self._watch = Watch(self._timing)
        self._held = False
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="medexp-parent", daemon=True)

    def __enter__(self) -> Claim:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._thread.join(2.0)
        if self._held:
            self._held = False
            try:
                if self._holder_is_me():
                    self._store(self._mine.ended("released"))
            except Exception as failure:  # the storage is away: it runs out by itself
                logger.info("the parent run could not be given back: %s", failure)

    @property
    def held(self) -> bool:
        """Whether this sweeper is the one; it may have been taken from it, when it seemed dead for minutes."""
        return self._held

    def take(self, *, force: bool = False) -> bool:
        """Take it where nobody alive has it; return whether it is held now.

        Args:
            force: take it from a living holder that does not do what it should.
        """
        if self._held:
            return True
        with self._attributes.exclusive():
            holder = self._holder()
            if holder is not None and not force and not self._watch.is_dead(0, holder):
                return False
            self._store(self._mine.renewed())
            self._held = self._holder_is_me()  # a database without locks: the last one who wrote has it
        return self._held

    def _renew(self) -> None:
        while not self._leaving.wait(self._timing.renew):
            if not self._held:
                continue
            try:
                if self._holder_is_me():
                    self._store(self._mine.renewed())
                else:
                    self._held = False
                    logger.warning("another sweeper has taken over the parent run: this one seemed to be dead")
            except Exception as failure:  # the storage is away: try again
                logger.info("the claim of the parent run could not be renewed: %s", failure)

    def _holder(self) -> Lease | None:
        return Lease.read({ATTRIBUTE: self._attributes.user_attr(WRITER)})

    def _holder_is_me(self) -> bool:
        holder = self._holder()
        return holder is not None and holder.owner == self._mine.owner

    def _store(self, lease: Lease) -> None:
        self._attributes.set_user_attr(WRITER, lease.attribute())


def wait_for(attributes: Attributes, key: str, *, claim: Claim, seconds: float) -> Any:
    """Wait until another sweeper has stored an attribute, or has died, so that this one holds the claim.

    Returns:
        The attribute, or None where this sweeper holds the claim: after `seconds` it takes it in any case.
    """
    end = time.monotonic() + seconds
    while True:
        if (value := attributes.user_attr(key)) is not None:
            return value
        if claim.take(force=time.monotonic() > end):
            return attributes.user_attr(key)
        time.sleep(0.2)
