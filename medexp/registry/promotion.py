"""Carry a decision out, so that a process that dies between any two writes leaves a registry that serves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medexp.errors import RegistryError
from medexp.registry.candidates import Candidate
from medexp.registry.decision import Decision
from medexp.registry.decision_log import Begun, DecisionLog
from medexp.registry.lineage import CHALLENGER, CHAMPION, PREVIOUS, Lineage
from medexp.tracking.store import default_store, open_client, sole_user, store_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient

_DECISION = "medexp.decision"  # of a version: the run that holds the record


@dataclass(frozen=True)
class Back:
    """Where a rollback leads.

    Args:
        history: the champions so far, the present one last; those that are gone are left out.
        version: the champion before.
        run_id: that it comes from.
        resumed: whether a rollback to it was interrupted and is to be finished.
    """

    history: tuple[str, ...]
    version: str
    run_id: str
    resumed: bool


class Promotion:
    """Writes of one registered model.

    A decision is recorded before anything is done, as `begun`; every write after that sets something to a value that
    the record determines, so it may be repeated; and the record is closed last. The alias `champion` moves in a single
    write, before which the old version and after which the new one is served.

    Args:
        uri: of the tracking store.
        experiment: that decisions are recorded in.
        model_name: in the registry.
    """

    def __init__(self, *, uri: str, experiment: str, model_name: str) -> None:
        self._uri = uri
        self._name = model_name
        self._client: MlflowClient = open_client(uri, create=False)
        self._lineage = Lineage(self._client, model_name)
        with store_errors(uri):
            found = self._client.get_experiment_by_name(experiment)
        if found is None:
            raise RegistryError(f"There is no such experiment. Received: tracking.experiment={experiment}.")
        self._log = DecisionLog(self._client, found.experiment_id, model_name)

    def aliases(self) -> dict[str, str]:
        """The version that each alias names."""
        with store_errors(self._uri):
            return self._lineage.aliases()

    def history(self) -> tuple[str, ...]:
        """The champions in the order they were appointed, the present one last."""
        with store_errors(self._uri):
            return self._lineage.history()

    def version_of(self, run_id: str) -> str | None:
        """The version that was registered from a run; None where there is none."""
        with store_errors(self._uri):
            return self._lineage.of_run(run_id)

    def model_of(self, version: str) -> str:
        """The id of the logged model that a version stands for (RegistryError: medexp has not registered it)."""
        with store_errors(self._uri):
            source = str(self._lineage.version(version).source)
        found = re.fullmatch(r"models:/(m-[0-9a-zA-Z]+)", source)
        if found is None:
            raise RegistryError(
                f"The version was not registered by medexp. Received: {self._name} version {version} with source "
                f"{source}. Promote another: python scripts/promote.py run=<run id>"
            )
        return found[1]

    def unfinished(self) -> tuple[Begun, ...]:
        """Decisions that were interrupted."""
        with store_errors(self._uri):
            return self._log.open()

    def judged(self, digest: str) -> int:
        """How many decisions were made on this version of a data set."""
        with store_errors(self._uri):
            return self._log.judged(digest)

    def refuse(self, decision: Decision) -> None:
        """Record a decision that gates refused: how often a test set was asked is part of the evidence."""
        with store_errors(self._uri), sole_user(self._uri):
            self._log.end(self._log.begin(decision), "refused")

    def apply(self, decision: Decision, candidate: Candidate) -> str:
        """Register the candidate and set the aliases; return its version.

        A promotion of the same candidate that was interrupted is finished. One that is the champion already stays it.

        Args:
            decision: with the champions that it was judged beside.
            candidate: that it is about.

        Raises:
            RegistryError: the champion has changed since, or the candidate has no bundle.
        """
        with store_errors(self._uri), sole_user(self._uri):
            begun = self._settle("promote", decision.alias, candidate.run_id)
            version = self._lineage.of_run(candidate.run_id)
            if version is not None and self._lineage.aliases().get(decision.alias) == version:
                if begun is not None:
                    self._carry_out(begun, version)
                return version
            now, then = self._lineage.champion(), decision.history[-1] if decision.history else None
            if now != then:
                raise RegistryError(
                    f"The champion has changed meanwhile. Received: version {now}, it was {then}. Run it again."
                )
            if begun is None:
                begun = self._log.begin(decision)
            else:
                self._log.write(begun, decision)
            version = self._registered(candidate)
            self._carry_out(begun, version)
            return version

    def back(self) -> Back:
        """Return where a rollback leads now.

        Raises:
            RegistryError: there is no champion, or none before it.
        """
        with store_errors(self._uri):
            return self._back()

    def roll_back(self, decision: Decision) -> str:
        """Make the champion before this one the champion again; return its version.

        Raises:
            RegistryError: the champion has changed since `back` said where it leads.
        """
        assert decision.version is not None
        with store_errors(self._uri), sole_user(self._uri):
            begun = self._settle("rollback", CHAMPION, decision.run_id)
            if begun is None:
                if self._lineage.champion() != decision.history[-1]:
                    raise RegistryError(
                        f"The champion has changed meanwhile. Received: version {self._lineage.champion()}, it was "
                        f"{decision.history[-1]}. Run it again."
                    )
                begun = self._log.begin(decision)
            self._carry_out(begun, decision.version)
            return decision.version

    def _back(self) -> Back:
        champion = self._lineage.champion()
        for begun in self._log.open():
            if begun.action == "rollback" and begun.version is not None and begun.version == champion:
                return Back(begun.history, begun.version, begun.run_id, resumed=True)
        history = self._lineage.history()
        there = tuple(number for number in history[:-1] if self._is_there(number))
        while there and there[-1] == champion:
            there = there[:-1]
        if champion is None or not there:
            raise RegistryError(
                f"There is nothing to go back to. Received: {self._name} with "
                f"{'no champion' if champion is None else f'version {champion}, its first champion'}. "
                "Promote another: python scripts/promote.py run=<run id>"
            )
        return Back((*there, champion), there[-1], self._lineage.version(there[-1]).run_id or "", resumed=False)

    def _is_there(self, number: str) -> bool:
        try:
            self._lineage.version(number)
        except RegistryError:
            return False
        return True

    def _settle(self, action: str, alias: str, run_id: str) -> Begun | None:
        """End what was interrupted; return the one that this command goes on with.

        What had taken effect is finished; of what had not, the aliases are as if it had never begun.
        """
        own: Begun | None = None
        for begun in self._log.open():
            if own is None and (begun.action, begun.alias, begun.run_id) == (action, alias, run_id):
                own = begun
            elif (version := self._effective(begun)) is not None:
                self._carry_out(begun, version)
            else:
                history = self._lineage.history()
                if history:
                    self._lineage.set(PREVIOUS, history[-2] if len(history) > 1 else None)
                self._log.end(begun, "abandoned")
        return own

    def _effective(self, begun: Begun) -> str | None:
        """The version that a begun decision has given its alias to; None where it has not come so far."""
        number = self._lineage.aliases().get(begun.alias)
        if number is None or (begun.action == "rollback" and number != begun.version):
            return None
        return number if self._lineage.version(number).run_id == begun.run_id else None

    def _carry_out(self, begun: Begun, version: str) -> None:
        """The writes of a decision, in an order in which each state between two of them can be served."""
        lineage, before = self._lineage, begun.history
        if begun.action == "rollback":
            lineage.set(CHAMPION, version)
            lineage.remember(before[:-1])
            lineage.set(PREVIOUS, before[-3] if len(before) > 2 else None)
        elif begun.alias == CHALLENGER:
            self._name_decision(begun, version)
            lineage.set(CHALLENGER, version)
        else:
            self._name_decision(begun, version)
            if before:
                lineage.set(PREVIOUS, before[-1])
            lineage.set(CHAMPION, version)
            lineage.remember((*before, version))
            if lineage.aliases().get(CHALLENGER) == version:
                lineage.set(CHALLENGER, None)
        self._log.end(begun, "done", version=version)

    def _name_decision(self, begun: Begun, version: str) -> None:
        self._client.set_model_version_tag(self._name, version, _DECISION, begun.id)

    def _registered(self, candidate: Candidate) -> str:
        """The candidate's version in the registry, made where there is none."""
        self._lineage.create()
        if (known := self._lineage.of_run(candidate.run_id)) is not None:
            return known
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
