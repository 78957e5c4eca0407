"""What a study leaves: a table, pictures, a page, and in its parent run what a person looks for."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from medexp.logs import FILE_ONLY
from medexp.sweep.importance import Importances, importances
from medexp.sweep.leaderboard import Leaderboard
from medexp.sweep.parent import Parent
from medexp.sweep.records import Record
from medexp.sweep.refit import of_best_epoch
from medexp.sweep.trial_table import PLOTTED, TrialTable
from medexp.tracking.base import Child
from medexp.tracking.bounded import bounded

logger = logging.getLogger(__name__)
TABLE, PAGE, PLOTS, IMPORTANCES = "trials.csv", "study.html", "plots", "importances.csv"
_WITH_METRICS = 1000  # trials, up to which the metrics of their runs are in the table too
_ANSWER = 30.0  # seconds for the store to list the runs


class Records(Protocol):
    """A study, of which all trials can be had."""

    def records(self) -> Sequence[Record]:
        """Return all trials."""


@dataclass(frozen=True)
class Summary:
    """What was written, where this sweeper is the one that writes it.

    Args:
        board: the trials, best first.
        folder: where the files are.
        files: those that were written.
        command: that trains the best again; None where there is none.
    """

    board: Leaderboard
    folder: Path
    files: tuple[Path, ...]
    command: str | None


@contextmanager
def summarised(parent: Parent, study: Records) -> Iterator[list[Summary]]:
    """Write the summary when the context is left, whatever ended it; after a signal only the table.

    It is then in the list that this yields; the list stays empty where it could not be written.
    """
    hurried, written = False, list[Summary]()
    try:
        yield written
    except Exception:
        raise
    except BaseException:  # a signal
        hurried = True
        raise
    finally:
        try:
            written.append(summarise(parent, study.records(), hurried=hurried))
        except Exception as error:  # must not hide what ended the sweep
            logger.warning("the summary of the study could not be written: %s", error)
            logger.info("the traceback", exc_info=True, extra=FILE_ONLY)


def summarise(parent: Parent, records: Sequence[Record], *, hurried: bool = False) -> Summary:
    """Write table, pictures and page into the study's folder and its parent run.

    The run gets the metrics of the best trial's own run. Another sweeper may be the one that writes the run: then this
    one writes nothing, and only says what there is.

    Args:
        parent: of the study.
        records: of all its trials.
        hurried: write the table alone, and ask the store nothing: the process has seconds left.
    """
    table = parent.table(records)
    parent.take_over(at_once=True)
    parent.note(table)
    folder, best, run = parent.plan.folder, table.best, parent.writing
    command = None if best is None else parent.command(best)
    if run is None:
        return Summary(Leaderboard.of_records(records, table.objectives), folder, (), command)
    folder.mkdir(parents=True, exist_ok=True)
    children = {} if hurried else _children(parent, table)
    files = [write_table(table, folder / TABLE, children=children)]
    if not hurried:
        files += write_pictures(table, folder, name=parent.plan.name, command=command)
    for file in files:
        run.log_files(file, PLOTS if file.parent.name == PLOTS else "")
    if best is not None and best.run_id in children:
        run.log_metrics(of_best_epoch(children[best.run_id].metrics), step=sum(record.ended for record in records))
    board = Leaderboard.of_records(records, table.objectives, children)
    return Summary(board, folder, tuple(files), command)


def write_table(table: TrialTable, path: Path, *, children: Mapping[str, Child] | None = None) -> Path:
    """Write all trials as CSV, by index: state, values, parameters, and the metrics of their runs where known."""
    known = children or {}
    keys = list(dict.fromkeys(key for record in table.records for key in record.params))
    metrics = sorted({name for child in known.values() for name in child.metrics})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = [objective.metric for objective in table.objectives]
        fixed = ["trial", "number", "state", *names, "seconds", "epochs", "attempts", "run_id", "error"]
        writer.writerow([*fixed, *keys, *(f"run/{name}" for name in metrics)])
        for record in table.records:
            values = [*record.values, *([""] * (len(names) - len(record.values)))]
            child = known.get(record.run_id or "")
            found = child.metrics if child is not None else {}
            writer.writerow(
                [
                    record.index, record.number, record.state, *values, round(record.seconds, 1), record.epochs,
                    record.attempts, record.run_id or "", record.error or "",
                    *(record.params.get(key, "") for key in keys), *(found.get(name, "") for name in metrics),
                ]
            )  # fmt: skip
    return path


def write_pictures(table: TrialTable, folder: Path, *, name: str, command: str | None) -> list[Path]:
    """Write the pictures, the importances and the page; return the files, those that make no sense left out."""
    from medexp.sweep.page import write_page
    from medexp.sweep.parallel import draw_parallel
    from medexp.sweep.plots import draw_curves, draw_history, draw_importances, draw_pareto, draw_slices

    found = {o.metric: importances(table, place=place) for place, o in enumerate(table.objectives)}
    drawn = table.thinned(PLOTTED)
    labels = {parameter.key: parameter.label for parameter in table.parameters}
    plots = folder / PLOTS
    draw_history(table, plots / "history.png")
    files = [plots / "history.png"]
    for file, done in (
        ("importances.png", draw_importances(found, labels, plots / "importances.png")),
        ("parallel_coordinates.png", draw_parallel(drawn, plots / "parallel_coordinates.png")),
        ("slices.png", draw_slices(drawn, plots / "slices.png")),
        ("pareto.png", draw_pareto(drawn, plots / "pareto.png")),
        ("curves.png", draw_curves(drawn, plots / "curves.png")),
    ):
        if done:
            files.append(plots / file)
        else:  # of an earlier attempt, with other trials
            (plots / file).unlink(missing_ok=True)
    files.append(_write_importances(found, folder / IMPORTANCES))
    write_page(table, found, folder / PAGE, name=name, command=command)
    return [*files, folder / PAGE]


def _write_importances(found: Mapping[str, Importances], path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["objective", "parameter", "share", "remark"])
        for metric, each in found.items():
            writer.writerows([metric, key, f"{share:.6f}", each.remark] for key, share in each.shares.items())
            if not each.shares:
                writer.writerow([metric, "", "", each.remark])
    return path


def _children(parent: Parent, table: TrialTable) -> dict[str, Child]:
    """The runs of the trials; of very many that of the best alone. None where the store does not answer."""
    try:
        if len(table.records) <= _WITH_METRICS:
            found = bounded(lambda: parent.tracker.children(parent.id), seconds=_ANSWER)
            return {child.run_id: child for child in found}
        ids = [table.best.run_id] if table.best is not None and table.best.run_id else []
        return {child.run_id: child for child in bounded(lambda: parent.tracker.runs(ids), seconds=_ANSWER)}
    except Exception as error:  # a store that is away: the study has all but the metrics of the runs
        logger.warning("the runs of the trials could not be read: %s", str(error) or "no answer in time")
        return {}
