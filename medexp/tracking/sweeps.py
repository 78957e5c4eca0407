"""Find sweeps in an MLflow store, by what a person remembers of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from medexp.errors import TrackingError
from medexp.tracking.base import Sweep
from medexp.tracking.store import open_client, redacted, store_errors

if TYPE_CHECKING:
    from mlflow.entities import Run

KIND, STUDY = "medexp.kind", "medexp.study"
_SHOWN = 5
_MOST = 1000


def latest_sweeps(uri: str, experiment: str) -> tuple[Sweep, ...]:
    """Return the sweeps of an experiment, the latest first.

    Raises:
        TrackingError: the store does not answer, or has no such experiment.
    """
    client = open_client(uri, create=False)
    with store_errors(uri):
        known = client.get_experiment_by_name(experiment)
        if known is None:
            raise TrackingError(f"There is no such experiment. Received: tracking.experiment={experiment}")
        found = client.search_runs(
            [known.experiment_id],
            f"tags.`{KIND}` = 'sweep'",
            order_by=["attributes.start_time DESC"],
            max_results=_MOST,
        )
    return tuple(_sweep(run) for run in found)


def find_sweep(named: str, sweeps: Sequence[Sweep], *, uri: str) -> Sweep:
    """Return the sweep of this parent run id or study name, or the only one that begins so.

    Args:
        named: by a person.
        sweeps: those there are, the latest first.
        uri: of the store, for the error.

    Raises:
        TrackingError: there is none, or more than one; lists the latest.
    """
    exact = [sweep for sweep in sweeps if named in (sweep.run_id, sweep.study)]
    if exact:
        return exact[0]
    found = [sweep for sweep in sweeps if sweep.run_id.startswith(named) or sweep.study.startswith(named)]
    if len(found) == 1:
        return found[0]
    listed = "".join(f"\n  {sweep.run_id}  {sweep.study or sweep.name}" for sweep in (found or sweeps)[:_SHOWN])
    if found:
        raise TrackingError(f"{len(found)} sweeps begin so. Received: sweep={named}. The latest of them:{listed}")
    there = f"The latest are:{listed}" if listed else "There are none: python scripts/train.py -m seed=1,2,3"
    raise TrackingError(f"There is no such sweep. Received: sweep={named}, in {redacted(uri)}. {there}")


def _sweep(run: Run) -> Sweep:
    return Sweep(
        run_id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status,
        study=run.data.tags.get(STUDY, ""),
        params=run.data.params,
        tags=run.data.tags,
        metrics=run.data.metrics,
    )
