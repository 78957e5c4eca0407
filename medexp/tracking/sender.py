"""The thread that sends a journal while the run goes on."""

from __future__ import annotations

import logging
import threading
import time

from medexp.errors import MedexpError
from medexp.tracking.base import Store
from medexp.tracking.delivery import Delivery, sent_path
from medexp.tracking.entry import Entry
from medexp.tracking.journal import Journal
from medexp.tracking.refusal import reason

logger = logging.getLogger(__name__)
_PATIENCE = 60.0  # seconds without progress
_BYTES_PER_SECOND = 1e6  # of the slowest upload that is waited for


class Sender:
    """Sends what is written to a journal, as it is written.

    A store that does not answer is said once and tried again every `pause` seconds; nobody waits for it but `drain`.

    Args:
        journal: of the run.
        store: where to.
        pause: seconds between attempts to reach a store that does not answer.
    """

    def __init__(self, journal: Journal, store: Store, *, pause: float = 60.0) -> None:
        self._journal = journal
        self._pause = pause
        self._delivery = Delivery(journal, store, before=self._note, after=self._advance)
        self._changed = threading.Condition()
        self._attempts = 0  # begun
        self._failed = 0  # the last attempt that failed; 0: none
        self._steps = 0
        self._bytes = 0
        self._news = self._urgent = self._stopping = self._busy = False
        self._outage: str | None = None
        self._thread = threading.Thread(target=self._work, name="medexp-tracking", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    @property
    def outage(self) -> str | None:
        """Why nothing can be sent now."""
        return self._outage

    @property
    def model_uri(self) -> str | None:
        """The URI of the model that was sent."""
        return self._delivery.model_uri

    def wake(self) -> None:
        """Say that there is something to send."""
        with self._changed:
            self._news = True
            self._changed.notify_all()

    def drain(self, *, patience: float | None = None) -> bool:
        """Try to send everything now, also to a store that did not answer before, and what it refused.

        Returns when it was tried, or when nothing went forward for `patience` seconds (None: enough for a slow
        upload of what is being sent). Return whether nothing is left.
        """
        with self._changed:
            self._urgent = True
            self._changed.notify_all()
            last, since = self._steps, time.monotonic()
            begun = self._attempts
            while self._urgent or self._busy:
                if self._failed > begun or not self._thread.is_alive():
                    break
                limit = _PATIENCE + self._bytes / _BYTES_PER_SECOND if patience is None else patience
                self._changed.wait(min(limit, 1.0))
                if self._steps != last:
                    last, since = self._steps, time.monotonic()
                elif time.monotonic() - since >= limit:
                    break
        return self._journal.left() == 0

    def stop(self) -> None:
        """End the thread; one that hangs in the store is left behind, it keeps no process alive."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(0.2)

    def _work(self) -> None:
        again = 0.0  # when a store that did not answer is tried again
        while True:
            with self._changed:
                while not (self._stopping or self._urgent):
                    rest = again - time.monotonic() if self._outage is not None else 0.0
                    if self._news and rest <= 0:
                        break
                    self._changed.wait(rest if self._news else None)
                if self._stopping:
                    return
                urgent, self._urgent, self._news, self._busy = self._urgent, False, False, True
                self._attempts += 1
            failure = self._attempt(retry=urgent)
            with self._changed:
                again = time.monotonic() + self._pause
                before, self._outage = self._outage, failure
                self._busy = False
                if failure is not None:
                    self._failed = self._attempts
                    self._news = True
                self._changed.notify_all()
                if not self._stopping:
                    self._say(before)

    def _attempt(self, *, retry: bool) -> str | None:
        try:
            self._delivery.run()
            if retry:
                self._delivery.retry()
        except MedexpError as error:
            return str(error)
        except Exception as error:  # a fault of ours must not cost the rest of the run
            logger.exception("the journal of run %s could not be sent", self._journal.run_id)
            return reason(error)
        return None

    def _say(self, before: str | None) -> None:
        if self._outage is not None and before is None:
            logger.warning(
                "the tracking store does not answer (%s). The run goes on; what it records is kept in %s and sent when "
                "the store is back",
                self._outage,
                self._journal.folder,
            )
        elif self._outage is None and before is not None:
            logger.info("the tracking store answers again: all was sent")

    def _note(self, entry: Entry) -> None:
        path = sent_path(entry, self._journal.folder)
        files = [] if path is None else [path, *path.rglob("*")] if path.is_dir() else [path]
        self._bytes = sum(file.stat().st_size for file in files if file.is_file())

    def _advance(self) -> None:
        with self._changed:
            self._steps += 1
            self._changed.notify_all()
