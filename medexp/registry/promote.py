"""What `scripts/promote.py` does."""

from __future__ import annotations

from medexp.config.schema import PromoteConfig
from medexp.registry.promotion import CHAMPION, PREVIOUS, Promotion
from medexp.registry.proposal_table import print_proposal
from medexp.types import Objective


def promote(config: PromoteConfig) -> str | None:
    """Show the proposal; with `apply`, carry it out and return the champion's version.

    Raises:
        MedexpError: there is nothing to promote, or `apply` was asked for a proposal that is refused.
    """
    promotion = Promotion(
        uri=config.tracking.uri,
        experiment=config.tracking.experiment,
        model_name=config.model_name,
        objective=Objective(config.objective.metric, config.objective.mode),
    )
    proposal = promotion.propose(
        run=config.run,
        sweep=config.sweep,
        data=config.data,
        accept_worse=config.accept_worse,
        accept_other_data=config.accept_other_data,
    )
    print_proposal(proposal)
    if config.apply:
        version = promotion.apply(proposal)
        was = f"; version {proposal.champion.version} is {PREVIOUS}" if proposal.champion and not proposal.done else ""
        print(f"\nVersion {version} of {config.model_name} is {CHAMPION}{was}. Serve it: make serve")
        return version
    if proposal.done:
        print("\nThe best run is already the champion.")
    elif proposal.refusal:
        print(f"\nIt would be refused. {proposal.refusal}")
    else:
        print("\nNothing was changed. To make it the champion: add apply=true")
    return None
