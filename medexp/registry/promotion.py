"""Choose a champion: the best run against the one that is served, and move the registry's aliases."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medexp.errors import RegistryError
from medexp.registry.untested import untested
from medexp.tracking.store import default_store, open_client, sole_user, store_errors
from medexp.types import Objective

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, PREVIOUS = "champion", "previous"


@dataclass(frozen=True)
class Candidate:
    """A finished run with a model: its score by the objective, and the data it was measured on."""

    run_id: str
    name: str
    model_id: str
    score: float
    metrics: Mapping[str, float]
    data: str
    digest: str
    synthetic: bool
    overrides: str
    version: str | None = None


@dataclass(frozen=True)
class Proposal:
    """What promotion would do.

    `elsewhere` counts candidates on other data, by (name, digest), which were not compared. `refusal` says why
    the candidate must not be promoted, None where it may; `done` that it is the champion already.
    """

    model_name: str
    objective: Objective
    candidate: Candidate
    champion: Candidate | None
    ranked: tuple[Candidate, ...]
    elsewhere: Mapping[tuple[str, str], int]
    refusal: str | None
    done: bool


class Promotion:
    """The registry of one store, and the runs of one experiment.

    Args:
        uri: of the tracking store.
        experiment: whose runs are candidates.
        model_name: in the registry.
        objective: the metric that compares, with its direction.
    """

    def __init__(self, *, uri: str, experiment: str, model_name: str, objective: Objective) -> None:
        self._uri = uri
        self._experiment = experiment
        self._name = model_name
        self._objective = objective
        self._client: MlflowClient = open_client(uri, create=False)

    def propose(
        self,
        *,
        run: str | None = None,
        sweep: str | None = None,
        data: str | None = None,
        accept_worse: bool = False,
        accept_other_data: bool = False,
    ) -> Proposal:
        """Compare the best candidate with the champion; nothing is changed.

        Args:
            run: this run only.
            sweep: only jobs of this parent.
            data: only runs on this data set, by name or digest; None for the champion's, where there is one.
            accept_worse: allow a candidate that is not better.
            accept_other_data: allow a candidate that was measured on other data.

        Raises:
            RegistryError: no such run, no candidate, or candidates on several data sets and no champion.
        """
        with store_errors(self._uri):
            champion = self._champion()
            found = self._candidates(run=run, sweep=sweep)
        everywhere = Counter((candidate.data, candidate.digest) for candidate in found)
        named = data is not None or run is not None
        chosen = self._on_one_data_set(found, data, champion if not named else None)
        ranked = sorted(chosen, key=lambda c: c.score, reverse=self._objective.mode == "max")
        best = ranked[0]
        done = champion is not None and champion.run_id == best.run_id
        return Proposal(
            model_name=self._name,
            objective=self._objective,
            candidate=best,
            champion=champion,
            ranked=tuple(ranked),
            elsewhere={key: count for key, count in everywhere.items() if key[1] != best.digest},
            refusal=None if done else self._refusal(best, champion, accept_worse, accept_other_data),
            done=done,
        )

    def apply(self, proposal: Proposal) -> str:
        """Register the candidate and move the aliases; return its version.

        `previous` moves first: killed in between, the champion is still what it was.

        Raises:
            RegistryError: the proposal was refused, or the champion has changed since.
        """
        if proposal.refusal is not None:
            raise RegistryError(proposal.refusal)
        with store_errors(self._uri), sole_user(self._uri):
            now, then = self._champion_version(), proposal.champion.version if proposal.champion else None
            if (now.version if now else None) != then:
                raise RegistryError(
                    f"The champion has changed meanwhile. Received: version {now.version if now else None}, "
                    f"it was {then}. Run it again."
                )
            version = self._registered(proposal.candidate)
            if proposal.done:
                return version
            if now is not None:
                self._client.set_registered_model_alias(self._name, PREVIOUS, now.version)
            self._client.set_registered_model_alias(self._name, CHAMPION, version)
            return version

    def _champion(self) -> Candidate | None:
        version = self._champion_version()
        if version is None:
            return None
        if not version.run_id:
            raise RegistryError(
                f"The champion comes from no run. Received: {self._name} version {version.version}. "
                "Move the alias champion to a version that medexp has registered, or use another model_name=..."
            )
        found = self._candidate(self._client.get_run(version.run_id), version=version.version)
        if found is None:
            raise RegistryError(
                f"The champion's run has no {self._metric} to compare with. Received: run {version.run_id}. "
                "Override: objective.metric=..."
            )
        return found

    def _champion_version(self) -> ModelVersion | None:
        found = self._client.search_registered_models(f"name = '{self._name}'", max_results=1)
        if not found or CHAMPION not in found[0].aliases:
            return None
        return self._client.get_model_version_by_alias(self._name, CHAMPION)

    def _candidates(self, *, run: str | None, sweep: str | None) -> list[Candidate]:
        experiment = self._client.get_experiment_by_name(self._experiment)
        if experiment is None:
            names = ", ".join(e.name for e in self._client.search_experiments())
            raise RegistryError(f"There is no such experiment. Received: {self._experiment}. Available: {names}.")
        conditions = ["attributes.status = 'FINISHED'"]
        conditions += [f"attributes.run_id = '{run}'"] if run else []
        conditions += [f"tags.`mlflow.parentRunId` = '{sweep}'"] if sweep else []
        runs: list[Run] = []
        token: str | None = None
        while token is not None or not runs:
            page = self._client.search_runs([experiment.experiment_id], " and ".join(conditions), page_token=token)
            runs += page
            token = page.token
            if not token:
                break
        found = [candidate for entry in runs if (candidate := self._candidate(entry)) is not None]
        if not found:
            if (reason := untested(runs, self._metric, self._objective)) is not None:
                raise RegistryError(reason)
            asked = f"run={run}" if run else f"sweep={sweep}" if sweep else f"experiment {self._experiment}"
            raise RegistryError(
                f"There is no finished run with a model and {self._metric}. Received: {asked}. "
                "Train first: python scripts/train.py"
            )
        return found

    @property
    def _metric(self) -> str:
        """The objective at the best epoch: an epoch's own metric would be the last epoch's."""
        name = self._objective.metric
        return name if name.startswith("test_") else f"best_{name}"

    def _candidate(self, run: Run, version: str | None = None) -> Candidate | None:
        inputs = run.inputs.dataset_inputs if run.inputs else []
        score = run.data.metrics.get(self._metric)
        model_id = run.data.tags.get("medexp.model_id")
        if score is None or not inputs or not model_id:
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
            overrides=run.data.tags.get("medexp.overrides", ""),
            version=version,
        )

    def _on_one_data_set(
        self, found: Sequence[Candidate], data: str | None, champion: Candidate | None
    ) -> Sequence[Candidate]:
        """Only numbers measured on the same images compare."""
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
                f"runs on {listed}. To change the data: dataset=<name> accept_other_data=true"
            )
        if len(sets) > 1:
            raise RegistryError(
                f"These runs were measured on different data, no number compares them. Received: {listed}. "
                "Choose: dataset=<name or digest>"
            )
        return chosen

    def _refusal(
        self, best: Candidate, champion: Candidate | None, accept_worse: bool, accept_other_data: bool
    ) -> str | None:
        if champion is None:
            return None
        if best.digest != champion.digest:
            if accept_other_data:
                return None
            return (
                f"The candidate was measured on other data than the champion, no number compares them. Received: "
                f"{best.data} {best.digest}, champion {champion.data} {champion.digest}. "
                "Override: accept_other_data=true"
            )
        if self._objective.better(best.score, champion.score) or accept_worse:
            return None
        return (
            f"The candidate is not better than the champion. Received: {self._objective.metric}={best.score:.4f}, "
            f"champion {champion.score:.4f}. Override: accept_worse=true"
        )

    def _registered(self, candidate: Candidate) -> str:
        """The candidate's version in the registry, made where there is none."""
        if not self._client.search_registered_models(f"name = '{self._name}'", max_results=1):
            self._client.create_registered_model(self._name)
        known = self._client.search_model_versions(f"name = '{self._name}' and run_id = '{candidate.run_id}'")
        if known:
            return str(known[0].version)
        files = {item.path for item in self._client.list_logged_model_artifacts(candidate.model_id, "bundle")}
        if "bundle/passport.json" not in files:
            raise RegistryError(
                f"The run's model has no bundle to serve. Received: run {candidate.run_id}. Train anew."
            )
        with default_store(self._uri):
            created = self._client.create_model_version(
                self._name,
                source=f"models:/{candidate.model_id}",
                run_id=candidate.run_id,
                model_id=candidate.model_id,
                tags={
                    "data": candidate.data,
                    "data.digest": candidate.digest,
                    "synthetic": str(candidate.synthetic).lower(),
                },
            )
        return str(created.version)
