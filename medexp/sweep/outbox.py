"""What a job has to say to the storage of its study, kept while the storage is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage

from medexp.redact import redact

logger = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0  # seconds between two tries


class Outbox:
    """Attributes and reports of one attempt. A training is worth more than a report: `send` never raises."""

    def __init__(self, storage: BaseStorage, trial_id: int, name: str) -> None:
        self.facts: dict[str, Any] = {}
        self.reports: dict[int, float] = {}
        self.away = False  # as far as we know
        self._storage, self._id, self._name = storage, trial_id, name

    def send(self) -> bool:
        """Write what the storage has not got yet, if it can be reached; False where the attempt was ended."""
        try:
            self.flush()
        except UpdateFinishedTrialError:
            return False
        except Exception as error:  # whatever a database raises while it is away
            self.complain("what it reports is sent later", error)
        return True

    def flush(self) -> None:
        """Write what the storage has not got yet.

        Raises:
            UpdateFinishedTrialError: the attempt was ended, so nothing more can be written.
            Exception: of the storage.
        """
        for key in list(self.facts):
            self._storage.set_trial_user_attr(self._id, key, self.facts[key])
            del self.facts[key]
        for step in sorted(self.reports):
            self._storage.set_trial_intermediate_value(self._id, step, self.reports[step])
            del self.reports[step]
        self.away = False

    def insist(self, action: Callable[[], object], *, seconds: float, otherwise: str) -> None:
        """Do `action` after all else is written, again and again, at most `seconds` long; then say what follows.

        Raises:
            UpdateFinishedTrialError: the attempt was ended.
        """
        end, pause = time.monotonic() + seconds, _FIRST_PAUSE
        while True:
            try:
                self.flush()
                action()
                return
            except UpdateFinishedTrialError:
                raise
            except Exception as error:
                if time.monotonic() + pause > end:
                    self.complain(otherwise, error, level=logging.ERROR)
                    return
                self.complain("trying again", error)
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def complain(self, what: str, error: Exception, *, level: int = logging.WARNING) -> None:
        """Log that the storage is away, once for each time that it goes."""
        if not self.away or level > logging.WARNING:
            reason = redact(f"{type(error).__name__}: {error.__cause__ or error}").strip().partition("\n")[0][:300]
            logger.log(level, "%s cannot reach the storage of the search: %s (%s)", self._name, what, reason)
        self.away = True
