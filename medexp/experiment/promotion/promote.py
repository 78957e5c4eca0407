"""What `scripts/promote.py` does: read `promote` from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from medexp.config.schema_promote import PromoteConfig
from medexp.console import wide_console
from medexp.errors import RegistryError
from medexp.experiment.promotion.gathered import Gathered, gather
from medexp.experiment.promotion.rollback import roll_back
from medexp.experiment.promotion.rules import rules_of
from medexp.experiment.promotion.signed import signature
from medexp.experiment.run_files import run_files
from medexp.registry.candidates import Candidates, Proposal
from medexp.registry.decision import Decision
from medexp.registry.gates.judge import judge
from medexp.registry.gates.result import NEVER_WAIVED, GateResult
from medexp.registry.lineage import CHALLENGER, CHAMPION, PREVIOUS
from medexp.registry.promotion import Promotion
from medexp.registry.proposal_table import print_gates, print_proposal
from medexp.tracking.store import store_errors
from medexp.types import Objective


def promote(config: PromoteConfig) -> str | None:
    """Judge a candidate by all gates and print it; with `apply`, carry it out. Return the version that got the alias.

    With `rollback` the champion before the present one is the champion again.

    Raises:
        MedexpError: there is nothing to promote or to go back to, or `apply` was asked for what a gate refuses.
    """
    uri = config.tracking.uri
    store: dict[str, Any] = {"uri": uri, "experiment": config.tracking.experiment}
    objective = Objective(config.objective.metric, config.objective.mode)
    candidates = Candidates(**store, model_name=config.model_name, objective=objective)
    promotion = Promotion(**store, model_name=config.model_name)
    if config.rollback:
        return roll_back(promotion, config)

    # ---- who, and what has to be said of it
    proposal = candidates.propose(run=config.run, sweep=config.sweep, data=config.dataset)
    print_proposal(proposal, model_name=config.model_name)
    if _has_it(proposal, promotion, config):
        return _finish(proposal, promotion, config)
    if config.alias == CHALLENGER and proposal.done:
        raise RegistryError("The candidate is the champion: it cannot challenge itself. Name another: run=<run id>")
    with run_files(outputs=config.paths.outputs, uri=uri) as files, store_errors(uri):
        gathered = gather(proposal.candidate, proposal.champion, files=files, config=config)
    results = judge(gathered.facts, rules_of(config.gates), alias=config.alias, waive=config.waive)
    print_gates(results)

    # ---- what is done
    judged = promotion.judged(proposal.candidate.digest)
    _say_before(results, config, judged=judged)
    decision = replace(
        _signed(config, proposal, history=promotion.history()),
        gates=results,
        waived_because=config.reason,
        evidence=_evidence(gathered, proposal, judged),
    )
    failed = [result.gate for result in results if result.verdict == "failed"]
    if failed and config.apply:
        promotion.refuse(replace(decision, outcome="refused"))
        raise RegistryError(_refusal(failed, config))
    if failed:
        _print(f"\nIt would be refused. {_refusal(failed, config)}")
        return None
    if not config.apply:
        _print(f"\nNothing was changed. To make it the {config.alias}: add apply=true")
        return None
    version = promotion.apply(decision, proposal.candidate)
    _say_done(version, decision, config)
    return version


def _has_it(proposal: Proposal, promotion: Promotion, config: PromoteConfig) -> bool:
    if config.alias == CHAMPION:
        return proposal.done
    version = promotion.version_of(proposal.candidate.run_id)
    return version is not None and promotion.aliases().get(config.alias) == version


def _finish(proposal: Proposal, promotion: Promotion, config: PromoteConfig) -> str | None:
    """The candidate has the alias already; what was interrupted after that is finished."""
    begun = [one for one in promotion.unfinished() if one.run_id == proposal.candidate.run_id]
    if not begun:
        _print(f"\nThe candidate is already the {config.alias}.")
        return promotion.aliases()[config.alias] if config.apply else None
    if not config.apply:
        _print(f"\nIt is the {config.alias}, but its promotion was interrupted. To finish it: add apply=true")
        return None
    decision = _signed(config, proposal, history=begun[0].history)
    version = promotion.apply(decision, proposal.candidate)
    _print(f"\nIts promotion was interrupted, and is finished: version {version} is {config.alias}.")
    return version


def _signed(config: PromoteConfig, proposal: Proposal, *, history: tuple[str, ...]) -> Decision:
    return Decision(
        action="promote",
        model_name=config.model_name,
        alias=config.alias,
        run_id=proposal.candidate.run_id,
        version=None,
        history=history,
        outcome="begun",
        **asdict(signature(config.paths.root, outputs=config.paths.outputs)),
    )


def _evidence(gathered: Gathered, proposal: Proposal, judged_before: int) -> dict[str, Any]:
    """All that the gates looked at, and where it comes from."""
    facts = asdict(gathered.facts)
    chosen = {"objective": asdict(proposal.objective), "of_runs": len(proposal.ranked)}
    return {**facts, "sources": {**gathered.sources, "chosen": chosen}, "judged_before": judged_before}


def _say_before(results: Sequence[GateResult], config: PromoteConfig, *, judged: int) -> None:
    if judged:
        _print(
            f"  These test images have decided {judged} time{'s' if judged > 1 else ''} before: the more often they "
            "are asked, the more likely luck answers."
        )
    needless = [gate for gate in config.waive if not any(r.gate == gate and r.verdict == "waived" for r in results)]
    if needless:
        _print(f"  Waived without need: {', '.join(needless)}.")


def _refusal(failed: Sequence[str], config: PromoteConfig) -> str:
    names = list(dict.fromkeys(failed))
    text = f"The candidate does not pass: {', '.join(names)}. Received: as={config.alias}. "
    if NEVER_WAIVED in names:
        return f"{text}A bundle that cannot be verified is never promoted: evaluate or train the run again"
    waived = ",".join(dict.fromkeys((*config.waive, *names)))
    return f"{text}Override, with your reason on record: 'waive=[{waived}]' reason=\"...\""


def _say_done(version: str, decision: Decision, config: PromoteConfig) -> None:
    name = config.model_name
    if config.alias == CHALLENGER:
        _print(f"\nVersion {version} of {name} is {CHALLENGER}; the champion is what it was.")
        return
    was = f"; version {decision.history[-1]} is {PREVIOUS}" if decision.history else ""
    back = ". Back again: python scripts/promote.py rollback=true" if decision.history else ""
    _print(f"\nVersion {version} of {name} is {CHAMPION}{was}. Serve it: make serve{back}")


def _print(text: str) -> None:
    wide_console().print(text, soft_wrap=True)
