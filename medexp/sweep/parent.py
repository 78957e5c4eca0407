"""The parent run of a sweep: open while its jobs run, closed with the right status whatever happens."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from medexp.errors import MedexpError
from medexp.logs import run_log
from medexp.sweep.leaderboard import rank
from medexp.tracking.base import Child, Run, Tracker
from medexp.tracking.bounded import bounded
from medexp.tracking.killable import killable
from medexp.tracking.recording import AFTER_SIGNAL
from medexp.types import Objective

logger = logging.getLogger(__name__)
TABLE = "leaderboard.csv"


@dataclass
class Parent:
    """The parent run, and once it is closed the jobs that the store had by then."""

    run: Run
    children: tuple[Child, ...] = ()

    @property
    def table(self) -> Path:
        """Where the table of jobs is written."""
        return self.run.folder / TABLE


@contextmanager
def open_parent(
    tracker: Tracker, name: str, *, objective: Objective, folder: Path, tags: Mapping[str, str], console_level: str
) -> Iterator[Parent]:
    """Open the parent run; at the end write the table of its jobs, into `folder/<run id>` and the store.

    It is closed as finished, as failed when the context raises (a job failed), or as killed by Ctrl-C or
    SIGTERM; in all three the jobs that did end are in the table. After a signal there is no time to wait for a store
    that does not answer: then there is no table.
    """
    with killable() as ending, tracker.start(name, below=folder, tags=tags) as run:
        ending.abandon = run.abandon
        parent = Parent(run)
        with run_log(run.folder / "sweep.log", run_id=run.id, console_level=console_level):
            logger.info("sweep %s", run.id)
            patience = None
            try:
                yield parent
            except Exception:
                raise
            except BaseException:  # a signal
                patience = AFTER_SIGNAL
                raise
            finally:
                try:
                    parent.children = bounded(lambda: tracker.children(run.id), seconds=patience)
                    _summarise(parent, objective)
                except (MedexpError, OSError) as error:  # must not hide what ended the sweep
                    reason = str(error) or "the store did not answer in time"
                    logger.warning("the table of jobs could not be recorded: %s", reason)


def _summarise(parent: Parent, objective: Objective) -> None:
    run, ranked = parent.run, rank(parent.children, objective)
    names = sorted({name for child in ranked for name in child.metrics})
    with parent.table.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["run_id", "name", "status", "overrides", *names])
        for child in ranked:
            values = [child.metrics.get(name, "") for name in names]
            table.writerow([child.run_id, child.name, child.status, child.overrides, *values])
    run.log_files(parent.table)
    best = next((child for child in ranked if child.status == "FINISHED"), None)
    if best is not None:
        run.log_metrics(best.metrics, step=0)
        run.log_tags({"medexp.best_run": best.run_id, "medexp.best_overrides": best.overrides})
