"""What a sweep says when it is over."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence

from hydra_plugins.medexp_sweeper._plan import Asked
from hydra_plugins.medexp_sweeper._values import write
from medexp.errors import MedexpError
from medexp.experiment.pooled import FOLD, FoldRun, pool, write_variants
from medexp.redact import redact
from medexp.sweep.leaderboard import Leaderboard, print_leaderboard
from medexp.sweep.outcome import Outcome
from medexp.sweep.parent import Parent
from medexp.sweep.plan import Plan
from medexp.sweep.records import Record
from medexp.sweep.refit import of_best_epoch, spread
from medexp.sweep.summary import PAGE, TABLE, Summary
from medexp.tracking.null_tracker import NullTracker

logger = logging.getLogger(__name__)
FOLDS = "folds.csv"
PLACES = ("paths.", "tracking.uri=", "tracking.experiment=")  # other scripts have to be told


def same_command(plan: Plan, *, fresh: bool) -> str:
    """Which command goes on with a study."""
    return f"the same command with search.study='{plan.name}' for search.fresh=true" if fresh else "the same command"


def show(summary: Summary, parent: Parent, outcome: Outcome, wanted: Asked) -> None:
    """Print the trials, best first, and what to do next."""
    plan, hints = parent.plan, {"mlflow": parent.tracker.where(parent.id)}
    written = {file.name: str(file) for file in summary.files}
    if PAGE in written:
        hints["page"] = written[PAGE]
    if TABLE in written:
        hints["table"] = written[TABLE]
    places = [redact(item) for item in wanted.fixed if item.startswith(PLACES)]
    known = plan.name if isinstance(parent.tracker, NullTracker) else parent.id
    hints["compare"] = shlex.join(["python", "scripts/compare.py", f"sweep={write(known)}", *places])
    if summary.command is not None:
        hints["retrain"] = summary.command
    same, combinations = same_command(plan, fresh=wanted.search.fresh), wanted.space.combinations
    if outcome.stopped != "done":
        hints["go on"] = f"{same} goes on with study {plan.name}"
    elif combinations is not None and plan.n_trials >= len(combinations):
        hints["further"] = f"search.fresh=true with the same command: a new study (this is {plan.name})"
    else:
        n_trials = min(2 * plan.n_trials, len(combinations) if combinations is not None else 2 * plan.n_trials)
        hints["further"] = f"search.n_trials={n_trials} and {same} adds trials to study {plan.name}"
    print_leaderboard(summary.board, title=plan.name, hints=hints)


def unwritten(parent: Parent, records: Sequence[Record]) -> Summary:
    """What can be shown where nothing could be written."""
    best = parent.table(records).best
    board = Leaderboard.of_records(records, parent.plan.objectives)
    return Summary(board, parent.plan.folder, (), None if best is None else parent.command(best))


def pool_folds(parent: Parent, records: Sequence[Record], wanted: Asked) -> None:
    """Where the folds of a cross-validation were trials: log and say mean, deviation and pooled metrics."""
    if not any(FOLD in record.params for record in records):
        return
    runs = wanted.config.paths.outputs / "runs"
    done = [record for record in records if record.state == "complete" and record.run_id]
    here = [record for record in done if (runs / str(record.run_id)).is_dir()]
    if len(here) < len(done):
        logger.warning("%d of %d folds were trained elsewhere: no pooled metrics", len(done) - len(here), len(done))
        return
    try:
        found = pool(
            [FoldRun(runs / str(r.run_id), {key: str(text) for key, text in r.params.items()}) for r in here],
            wanted.objectives[0],
        )
    except MedexpError as error:
        logger.warning("no pooled metrics: %s", error)
        return
    if not found:
        return
    metric, run = wanted.objectives[0].metric, parent.writing
    path = write_variants(found, parent.plan.folder / FOLDS)
    for variant in found:
        metrics = variant.metrics
        pooled = metrics.get(f"pooled_{metric}")
        logger.info(
            "%s, %d folds: %s %.4f, deviation %.4f%s", variant.name, len(variant.folds), metric, metrics[metric],
            metrics.get(f"{metric}_std", float("nan")), "" if pooled is None else f"; pooled {pooled:.4f}",
        )  # fmt: skip
    logger.info("all metrics of the folds: %s", path)
    if run is not None:
        run.log_files(path)
        run.log_metrics({f"folds/{name}": value for name, value in found[0].metrics.items()}, step=0)


def say_refit(parent: Parent, best: Record, records: Sequence[Record]) -> None:
    """Log and say mean and deviation of the best trial, trained again."""
    done = [record for record in records if record.state == "complete"]
    if not done:
        return
    objective = parent.plan.objectives[0]
    runs = {child.run_id: child for child in parent.tracker.children(parent.id)}
    metrics = [runs[record.run_id].metrics if record.run_id in runs else {} for record in done]
    found = spread(
        [
            {**of_best_epoch(known), objective.metric: record.values[0]}
            for known, record in zip(metrics, done, strict=True)
        ]
    )
    run = parent.writing
    if run is not None:
        run.log_metrics({f"refit/{name}": value for name, value in found.items()}, step=0)
    shown = [name for name in (objective.metric, "test_auc", "test_accuracy") if f"{name}_mean" in found]
    said = ", ".join(
        f"{name} {found[f'{name}_mean']:.4f}" + (f" +- {found[f'{name}_std']:.4f}" if f"{name}_std" in found else "")
        for name in shown
    )
    logger.info(
        "trial %d, %s %.4f in the search; trained %d times with new seeds: %s", best.index, objective.metric,
        best.values[0], len(done), said,
    )  # fmt: skip
