"""The parent run of a sweep: open while its jobs run, closed with the right status whatever happens."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from medexp.errors import MedexpError
from medexp.logs import run_log
from medexp.sweep.leaderboard import rank
from medexp.tracking.base import Child, Run, Tracker
from medexp.tracking.killable import killable
from medexp.types import Objective

logger = logging.getLogger(__name__)


@contextmanager
def open_parent(
    tracker: Tracker, name: str, *, objective: Objective, folder: Path, tags: Mapping[str, str], console_level: str
) -> Iterator[Run]:
    """Open the parent run; at the end write the table of its jobs, into `folder/<run id>` and the store.

    It is closed as finished, as failed when the context raises (a job failed), or as killed by Ctrl-C or
    SIGTERM; in all three the jobs that did end are in the table.
    """
    with killable() as ending, tracker.start(name, below=folder, tags=tags) as run:
        ending.abandon = run.abandon
        own = run.folder
        with run_log(own / "sweep.log", run_id=run.id, console_level=console_level):
            logger.info("sweep %s", run.id)
            try:
                yield run
            finally:
                try:
                    _summarise(tracker.children(run.id), run, own, objective)
                except MedexpError as error:  # must not hide what ended the sweep
                    logger.warning("the table of jobs could not be recorded: %s", error)


def _summarise(children: Sequence[Child], run: Run, folder: Path, objective: Objective) -> None:
    ranked = rank(children, objective)
    names = sorted({name for child in ranked for name in child.metrics})
    with (folder / "leaderboard.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["run_id", "name", "status", "overrides", *names])
        for child in ranked:
            values = [child.metrics.get(name, "") for name in names]
            table.writerow([child.run_id, child.name, child.status, child.overrides, *values])
    run.log_files(folder / "leaderboard.csv")
    best = next((child for child in ranked if child.status == "FINISHED"), None)
    if best is not None:
        run.log_metrics(best.metrics, step=0)
        run.log_tags({"medexp.best_run": best.run_id, "medexp.best_overrides": best.overrides})
