"""The parent run of a sweep: one for each study, whoever works on it, however often it is begun again."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from medexp.errors import MedexpError, TrackingError
from medexp.logs import run_log
from medexp.redact import redact
from medexp.sweep.claim import Attributes, Claim, wait_for
from medexp.sweep.lease import Timing
from medexp.sweep.plan import Plan
from medexp.sweep.records import Record
from medexp.sweep.retrain import retrain_command
from medexp.sweep.stored import ABOUT, about
from medexp.sweep.trial_table import TrialTable, best_so_far
from medexp.tracking.base import Run, Tracker
from medexp.tracking.killable import killable
from medexp.tracking.lock import LiveError

logger = logging.getLogger(__name__)
PARENT, KEY = "parent", "parent_key"  # attributes of the study: the id of the run; what finds it before that is known
KEY_TAG = "medexp.study_key"
LOG = "sweep.log"
_AGAIN = 30.0  # seconds between attempts to take over from a sweeper that has gone


class Parent:
    """The parent run, as one of the sweepers of its study has it.

    Args:
        run_id: of the parent run.
        folder: of the sweep on this machine: log, table, pictures.
        plan: of the study.
        fixed: what all trials have on the command line.
        tracker: where runs are.
    """

    def __init__(self, run_id: str, *, folder: Path, plan: Plan, fixed: Sequence[str], tracker: Tracker) -> None:
        self.id = run_id
        self.folder = folder
        self.plan = plan
        self.fixed = tuple(fixed)
        self.tracker = tracker
        self.run: Run | None = None
        self._claim: Claim | None = None
        self._stack: ExitStack | None = None
        self._tried = 0.0
        self._best: tuple[int, int] | None = None
        self._series: dict[str, int] = {}

    @property
    def writing(self) -> Run | None:
        """The open run, where this sweeper is the one that writes it; another one of the study does otherwise."""
        return self.run if self._claim is not None and self._claim.held else None

    def attach(self, claim: Claim, stack: ExitStack) -> None:
        """Let it open the run for as long as `stack` is open, while it holds the claim."""
        self._claim, self._stack = claim, stack

    def take_over(self, *, at_once: bool = False) -> Run | None:
        """Open the run where no other sweeper writes it; return it where this one does.

        Args:
            at_once: try, although it was tried a moment ago.
        """
        if self.run is not None:
            return self.writing
        if self._claim is None or self._stack is None or (not at_once and time.monotonic() - self._tried < _AGAIN):
            return None
        self._tried = time.monotonic()
        try:
            if self._claim.take():
                self.run = self._stack.enter_context(self.tracker.adopt(self.id, below=self.folder.parent))
        except LiveError:  # of a sweeper that has just been killed: its children hold what it held
            logger.info("another process of this machine writes the parent run %s", self.id)
        return self.writing

    def command(self, record: Record) -> str:
        """The command that trains a trial alone; of a fold, on the whole split: no fold is better than another."""
        return retrain_command(self.fixed, [o for o in record.overrides if not o.startswith("data.fold=")])

    def table(self, records: Sequence[Record]) -> TrialTable:
        """The trials as a table."""
        return TrialTable.of(records, self.plan.objectives, described=self.plan.space.describe())

    def abandon(self) -> None:
        """Close the run as killed, because the process is about to end itself."""
        if self.run is not None:
            self.run.abandon()

    def note(self, table: TrialTable) -> None:
        """Record in the run what is new: counts, the best so far, which one that is."""
        run = self.take_over()
        if run is None:
            return
        ended = [record for record in table.records if record.ended]
        counts = {f"trials_{state}": float(table.count(state)) for state in ("complete", "pruned", "failed")}
        best = table.best
        for place, objective in enumerate(table.objectives):
            name = "best_so_far" if len(table.objectives) == 1 else f"best_so_far/{objective.metric}"
            known = self._series.get(name, -1)
            for index, value in best_so_far(table.records, objective, place).items():
                if index > known:
                    run.log_metrics({name: value}, step=index)
                    self._series[name] = index
        if ended:
            values = {} if best is None else {
                f"best_{objective.metric}": value
                for objective, value in zip(table.objectives, best.values, strict=True)
            }  # fmt: skip
            run.log_metrics({**counts, **values}, step=len(ended))
        if best is not None and self._best != (best.index, best.number):
            self._best = (best.index, best.number)
            run.log_tags(
                {
                    "medexp.best_run": best.run_id or "",
                    "medexp.best_trial": str(best.index),
                    "medexp.best_overrides": " ".join(best.overrides),
                    "medexp.best_command": self.command(best),
                }
            )


@contextmanager
def open_parent(
    tracker: Tracker,
    study: Attributes,
    plan: Plan,
    *,
    name: str,
    below: Path,
    fixed: Sequence[str],
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    console_level: str,
    timing: Timing | None = None,
    patience: float = 60.0,
) -> Iterator[Parent]:
    """Open the parent run of a study, made where there is none yet; the sweep's log is written while it is open.

    Of several sweepers, one makes it, and one at a time writes it; where that one goes, another takes over. A run that
    has ended is opened again. It is closed as finished, as failed when the context raises, or as killed by Ctrl-C or
    SIGTERM.

    Args:
        tracker: where runs are.
        study: its attributes.
        plan: of the study.
        name: of a new run.
        below: the folder of sweeps: the run's own is `below`/<run id>.
        fixed: what all trials have on the command line.
        params: of the search, recorded once.
        tags: of the run, beside those that find it.
        console_level: what the console shows of the log.
        timing: of the claim to write it.
        patience: seconds to wait for a parent that another sweeper is making.

    Raises:
        TrackingError: the store does not answer, or the study was recorded in another one.
    """
    with killable() as ending, Claim(study, timing=timing) as claim, ExitStack() as stack:
        run_id = study.user_attr(PARENT) if not claim.take() else None
        if not claim.held and run_id is None:
            run_id = wait_for(study, PARENT, claim=claim, seconds=patience)
        run: Run | None = None
        if claim.held:
            run_id, run = _opened(tracker, study, plan, stack, name=name, below=below, fixed=fixed, tags=tags)
        assert run_id is not None
        parent = Parent(run_id, folder=below / run_id, plan=plan, fixed=fixed, tracker=tracker)
        parent.run = run
        parent.attach(claim, stack)
        ending.abandon = parent.abandon
        parent.folder.mkdir(parents=True, exist_ok=True)
        with run_log(parent.folder / LOG, run_id=run_id, console_level=console_level):
            logger.info("sweep %s of study %s", run_id, plan.name)
            if run is None:
                logger.info("another sweeper of the study writes its parent run: this one works on trials only")
            else:
                run.log_params(params)
            yield parent


def refresh(parent: Parent, records: Sequence[Record]) -> None:
    """Record what is new of a study in its parent run, cheaply; what cannot be recorded now is recorded later.

    Args:
        parent: of the study.
        records: of all its trials.
    """
    try:
        parent.note(parent.table(records))
    except MedexpError as error:  # a store or storage that is away must not stop the trials
        logger.warning("the parent run could not be brought up to date: %s", error)


def _opened(
    tracker: Tracker,
    study: Attributes,
    plan: Plan,
    stack: ExitStack,
    *,
    name: str,
    below: Path,
    fixed: Sequence[str],
    tags: Mapping[str, str],
) -> tuple[str, Run | None]:
    """Open the parent run, or make it; the caller holds the claim. No run where a process of this machine works on it.

    A sweeper that was killed between making the run and storing its id leaves one that is found by its tag.
    """
    run_id: str | None = study.user_attr(PARENT)
    known = about(plan.objectives, [redact(item) for item in fixed], max_retry=plan.max_retry)
    if study.user_attr(ABOUT) != known:
        study.set_user_attr(ABOUT, known)
    key = study.user_attr(KEY)
    if key is None:
        key = uuid.uuid4().hex
        study.set_user_attr(KEY, key)
    if run_id is None:
        run_id = tracker.tagged(KEY_TAG, key)
        if run_id is not None:
            study.set_user_attr(PARENT, run_id)
    if run_id is not None:
        try:
            return run_id, stack.enter_context(tracker.adopt(run_id, below=below))
        except LiveError:
            return run_id, None
        except TrackingError as error:
            raise TrackingError(
                f"{error}\nIt is the parent run of study {plan.name}. A new study, with a parent run of its own: "
                "search.fresh=true"
            ) from error
    metrics = [objective.metric for objective in plan.objectives]
    own = {
        "medexp.kind": "sweep",
        "medexp.study": plan.name,
        "medexp.storage": plan.storage,
        "medexp.objective": ",".join(metrics),
        "medexp.objective_mode": ",".join(objective.mode for objective in plan.objectives),
        KEY_TAG: key,
    }
    run = stack.enter_context(tracker.start(name[:250], below=below, tags={**tags, **own}))
    study.set_user_attr(PARENT, run.id)
    return run.id, run
