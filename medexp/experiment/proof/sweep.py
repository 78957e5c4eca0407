"""`python scripts/compare.py sweep=<id>`: after the table of a sweep, what its tested runs prove."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence

from medexp.config.schema_compare import CompareConfig
from medexp.console import wide_console
from medexp.errors import MedexpError
from medexp.experiment.proof.prove import Proof, compared, facts, numbers, show
from medexp.experiment.proof.record import record_in
from medexp.experiment.proof.runs import BELOW
from medexp.experiment.proof.tested_run import TestedRun, read_tested
from medexp.experiment.run_files import RunFiles, run_files
from medexp.redact import redact
from medexp.sweep.compare import Found, compare, find_compared
from medexp.sweep.leaderboard import Leaderboard, Row
from medexp.sweep.retrain import retrain_command
from medexp.tracking.mlflow_tracker import MlflowTracker
from medexp.types import Objective

logger = logging.getLogger(__name__)
_SEEDS = "seed=1,2,3"
_WORTH = 2  # variants that a proof is suggested for


def compare_sweep(config: CompareConfig, *, elsewhere: Sequence[str] = ()) -> Proof | None:
    """Print the trials of a sweep, then what the tested ones prove; None where none or one was tested.

    Files are in `<outputs>/comparisons/<sweep>`, and recorded in the parent run. The sweep may be running.

    Args:
        config: which sweep, and how.
        elsewhere: the overrides that put outputs and store at another place than the default.

    Raises:
        MedexpError: there is no such sweep, or its tested runs cannot be compared.
    """
    objective = None if config.metric is None else Objective(config.metric, config.mode or "max")
    uri, experiment, outputs = config.tracking.uri, config.tracking.experiment, config.paths.outputs
    found = find_compared(uri=uri, experiment=experiment, outputs=outputs, sweep=config.sweep, storage=config.storage)
    board = compare(
        uri=uri, experiment=experiment, outputs=outputs, sweep=config.sweep, storage=config.storage,
        objective=objective, top=config.top, elsewhere=elsewhere, found=found,
    )  # fmt: skip
    with run_files(outputs=outputs, uri=uri) as files:
        runs = _tested(_ids(found, board, config), files)
        _say_untested(found, board, {run.run_id for run in runs}, elsewhere)
        if len(runs) < 2:
            return None
        comparison = compared(runs, config.proof, most=config.proof.most)
    if len(comparison.variants) < 2:
        wide_console().print(
            "\n  All tested runs are one variant with different seeds; proof.pool=false compares them one by one."
        )
    name = found.sweep.run_id if found.sweep is not None else found.name
    wide_console().print()
    proof = show(comparison, outputs / BELOW / name, top=config.top, where={"sweep": found.name})
    console = wide_console()
    console.print(f"  page     {proof.folder / 'comparison.html'}", soft_wrap=True)
    if found.sweep is not None:
        problem = record_in(
            found.sweep.run_id,
            proof.folder,
            uri=uri,
            metrics=numbers(comparison),
            tags=facts(comparison),
        )
        said = f"not in the store: {problem}" if problem else f"artifacts of {found.sweep.run_id}, comparison/"
        console.print(f"  record   {said}", soft_wrap=True)
    return proof


def _ids(found: Found, board: Leaderboard, config: CompareConfig) -> list[str]:
    """Runs that may have been tested: of the trials, and those that trained the best of them again."""
    if found.sweep is None:
        return [row.run_id for row in board.rows if row.run_id]
    tracker = MlflowTracker(
        uri=config.tracking.uri, experiment=config.tracking.experiment, artifacts=str(config.paths.outputs)
    )
    children = tracker.children(found.sweep.run_id)
    return [child.run_id for child in children if any(name.startswith("test_") for name in child.metrics)]


def _tested(ids: Sequence[str], files: RunFiles) -> list[TestedRun]:
    found = []
    for run_id in ids:
        try:
            run = read_tested(run_id, files)
        except MedexpError as error:
            logger.warning("run %s is left out: %s", run_id, error)
            continue
        if run is not None and not run.result.folds:
            found.append(run)
    return found


def _say_untested(found: Found, board: Leaderboard, tested: set[str], elsewhere: Sequence[str]) -> None:
    """Say of trials that were validated only that their order is no proof, and what gives one."""
    untested = [row for row in board.rows if row.state == "complete" and row.run_id not in tested]
    if not untested:
        return
    console = wide_console()
    which = "The trials" if len(untested) == board.counts.get("complete") else f"{len(untested):,} of the trials"
    console.print(
        f"\n  {which} were validated only: the table is a ranking, and the best of many on validation is lucky. Their "
        "test images have not been looked at."
    )
    best = _distinct(untested)[:_WORTH]
    if len(best) < _WORTH:
        return
    fixed = () if found.study is None else found.study.fixed
    console.print("  For proof train the first ones whole, with several seeds, and compare these runs:")
    places = [redact(item) for item in elsewhere]
    for overrides in best:
        command = retrain_command(fixed, [*overrides, *places, _SEEDS])
        console.print(f"    {command.replace('train.py ', 'train.py -m ', 1)}", soft_wrap=True)
    said = shlex.join(["python", "scripts/compare.py", "runs=[<their run ids>]", *places])
    console.print(f"    {said}", soft_wrap=True)


def _distinct(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The overrides of each variant, the best first: without the seed."""
    found = [tuple(item for item in row.overrides if item.partition("=")[0] != "seed") for row in rows]
    return list(dict.fromkeys(found))
