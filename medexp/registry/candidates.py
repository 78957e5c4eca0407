"""Which run is proposed: the best of those that were measured on one data set, beside the champion."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medexp.errors import RegistryError
from medexp.registry.lineage import Lineage
from medexp.registry.untested import untested
from medexp.tracking.store import open_client, store_errors
from medexp.types import Objective

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_EVALUATES, _KIND = "medexp.evaluates", "medexp.kind"
_WHOLE = 32  # characters of a run id
_SHORTEST = 6


@dataclass(frozen=True)
class Candidate:
    """A finished run with a model: its score by the objective, and the data it was measured on.

    `trained_by` is the id of the training: the run's own, or of that which it evaluates. `score` is None where the run
    was named and has none.
    """

    run_id: str
    name: str
    model_id: str
    score: float | None
    metrics: Mapping[str, float]
    data: str
    digest: str
    synthetic: bool
    overrides: str
    tags: Mapping[str, str]
    trained_by: str
    version: str | None = None


@dataclass(frozen=True)
class Proposal:
    """What may be promoted.

    `elsewhere` counts candidates on other data, by (name, digest), which were not compared. `done` says that the
    candidate is the champion already.
    """

    objective: Objective
    candidate: Candidate
    champion: Candidate | None
    ranked: tuple[Candidate, ...]
    elsewhere: Mapping[tuple[str, str], int]
    done: bool


class Candidates:
    """The runs of one experiment, and the champion of one registered model.

    Args:
        uri: of the tracking store.
        experiment: whose runs are candidates.
        model_name: in the registry.
        objective: the metric that ranks, with its direction.
    """

    def __init__(self, *, uri: str, experiment: str, model_name: str, objective: Objective) -> None:
        self._uri = uri
        self._experiment = experiment
        self._objective = objective
        self._client: MlflowClient = open_client(uri, create=False)
        self._lineage = Lineage(self._client, model_name)

    def propose(self, *, run: str | None = None, sweep: str | None = None, data: str | None = None) -> Proposal:
        """Choose the best candidate, and find the champion; nothing is changed.

        Args:
            run: this run only: the id of a training or an evaluation, or its beginning.
            sweep: only jobs of this parent.
            data: only runs on this data set, by name or digest; None for the champion's, where there is one.

        Raises:
            RegistryError: no such run, no candidate, or candidates on several data sets and no champion.
        """
        with store_errors(self._uri):
            champion = self.champion()
            found = self._found(run=run, sweep=sweep)
        everywhere = Counter((candidate.data, candidate.digest) for candidate in found)
        chosen = found if run is not None else _on_one_data_set(found, data, champion)
        sign = -1 if self._objective.mode == "max" else 1
        ranked = sorted(chosen, key=lambda one: (one.score is None, sign * (one.score or 0.0)))
        best = ranked[0]
        return Proposal(
            objective=self._objective,
            candidate=best,
            champion=champion,
            ranked=tuple(ranked),
            elsewhere={key: count for key, count in everywhere.items() if key[1] != best.digest},
            done=champion is not None and champion.run_id == best.run_id,
        )

    def champion(self) -> Candidate | None:
        """Return what has the alias (RegistryError: it comes from no run)."""
        number = self._lineage.champion()
        if number is None:
            return None
        version = self._lineage.version(number)
        if not version.run_id:
            raise RegistryError(
                f"The champion comes from no run. Received: {version.name} version {version.version}. "
                "Move the alias champion to a version that medexp has registered, or use another model_name=..."
            )
        found = self._candidate(self._client.get_run(version.run_id), version=str(version.version), named=True)
        if found is None:
            raise RegistryError(
                f"The champion's run says nothing of its data. Received: run {version.run_id}. "
                "Use another model_name=..."
            )
        return found

    def _found(self, *, run: str | None, sweep: str | None) -> list[Candidate]:
        experiment = self._client.get_experiment_by_name(self._experiment)
        if experiment is None:
            names = ", ".join(e.name for e in self._client.search_experiments())
            raise RegistryError(f"There is no such experiment. Received: {self._experiment}. Available: {names}.")
        conditions = ["attributes.status = 'FINISHED'"]
        if run is not None and len(run) >= _WHOLE:
            conditions.append(f"attributes.run_id = '{run}'")
        if sweep is not None:
            conditions.append(f"tags.`mlflow.parentRunId` = '{sweep}'")
        runs = list(self._search(experiment.experiment_id, " and ".join(conditions)))
        if run is not None:
            runs = _beginning(runs, run)
        named = run is not None
        found = [one for entry in runs if (one := self._candidate(entry, named=named)) is not None]
        if not found:
            if (reason := untested(runs, self._metric, self._objective)) is not None:
                raise RegistryError(reason)
            if run is not None and not runs:
                raise RegistryError(
                    f"No finished run has this id. Received: run={run}, tracking.experiment={self._experiment}. "
                    "The best: python scripts/promote.py; one that was killed: python scripts/train.py resume=<run id>"
                )
            asked = f"run={run}" if run else f"sweep={sweep}" if sweep else f"experiment {self._experiment}"
            raise RegistryError(
                f"There is no finished run with a model and {self._metric}. Received: {asked}. "
                "Train first: python scripts/train.py"
            )
        return found

    def _search(self, experiment: str, condition: str) -> Iterator[Run]:
        token: str | None = None
        while True:
            page = self._client.search_runs([experiment], condition, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    @property
    def _metric(self) -> str:
        """The objective at the best epoch: an epoch's own metric would be the last epoch's."""
        name = self._objective.metric
        return name if name.startswith("test_") else f"best_{name}"

    def _candidate(self, run: Run, *, named: bool = False, version: str | None = None) -> Candidate | None:
        """What is known of a run; None for one without a model, or without a score unless it was named.

        An evaluation has the score of its training, and is a candidate only where it is named: it is no other model.
        """
        tags = run.data.tags
        inputs = run.inputs.dataset_inputs if run.inputs else []
        model_id = tags.get("medexp.model_id")
        if not inputs or not model_id or (tags.get(_KIND) == "evaluation" and not named):
            return None
        trained_by = tags.get(_EVALUATES, run.info.run_id)
        training = run if trained_by == run.info.run_id else self._client.get_run(trained_by)
        score = training.data.metrics.get(self._metric)
        if score is None and not named:
            return None
        dataset = inputs[0].dataset
        return Candidate(
            run_id=run.info.run_id,
            name=run.info.run_name,
            model_id=model_id,
            score=score,
            metrics=run.data.metrics,
            data=dataset.name,
            digest=dataset.digest,
            synthetic=bool(json.loads(dataset.schema or "{}").get("synthetic")),
            overrides=training.data.tags.get("medexp.overrides", ""),
            tags={**training.data.tags, **tags},
            trained_by=trained_by,
            version=version,
        )


def _beginning(runs: Sequence[Run], text: str) -> list[Run]:
    if len(text) < _SHORTEST:
        raise RegistryError(f"run needs at least {_SHORTEST} characters of the id. Received: run={text}.")
    found = [run for run in runs if run.info.run_id.startswith(text)]
    if len(found) > 1:
        listed = ", ".join(run.info.run_id for run in found)
        raise RegistryError(f"Several runs begin so. Received: run={text}. They are: {listed}.")
    return found


def _on_one_data_set(found: Sequence[Candidate], data: str | None, champion: Candidate | None) -> Sequence[Candidate]:
    """Only numbers measured on the same images rank."""
    if data is not None:
        chosen = [c for c in found if data in (c.data, c.digest)]
    elif champion is not None:
        chosen = [c for c in found if c.digest == champion.digest]
    else:
        chosen = list(found)
    sets = Counter((c.data, c.digest) for c in (chosen or found))
    listed = "; ".join(f"{name} {digest} ({count} runs)" for (name, digest), count in sorted(sets.items()))
    if not chosen and data is not None:
        raise RegistryError(f"There is no run on this data. Received: dataset={data}. Available: {listed}.")
    if not chosen and champion is not None:
        raise RegistryError(
            f"There is no run on the champion's data. Received: champion on {champion.data} {champion.digest}, "
            f"runs on {listed}. Name other data, on which the champion is scored again: dataset=<name or digest>"
        )
    if len(sets) > 1:
        raise RegistryError(
            f"These runs were measured on different data, no number ranks them. Received: {listed}. "
            "Choose: dataset=<name or digest>"
        )
    return chosen
