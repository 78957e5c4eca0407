"""What `scripts/promote.py` does."""

from __future__ import annotations

from medexp.registry.promotion import CHAMPION, PREVIOUS, Promotion
from medexp.registry.proposal_table import print_proposal
from medexp.types import Objective


def promote(
    *,
    uri: str,
    experiment: str,
    model_name: str,
    objective: Objective,
    run: str | None,
    sweep: str | None,
    data: str | None,
    accept_worse: bool,
    accept_other_data: bool,
    apply: bool,
) -> str | None:
    """Show the proposal; with `apply`, carry it out and return the champion's version.

    The arguments are those of `Promotion` and its `propose`.

    Raises:
        MedexpError: there is nothing to promote, or `apply` was asked for a proposal that is refused.
    """
    promotion = Promotion(uri=uri, experiment=experiment, model_name=model_name, objective=objective)
    proposal = promotion.propose(
        run=run, sweep=sweep, data=data, accept_worse=accept_worse, accept_other_data=accept_other_data
    )
    print_proposal(proposal)
    if apply:
        version = promotion.apply(proposal)
        was = f"; version {proposal.champion.version} is {PREVIOUS}" if proposal.champion and not proposal.done else ""
        print(f"\nVersion {version} of {model_name} is {CHAMPION}{was}. Serve it: make serve")
        return version
    if proposal.done:
        print("\nThe best run is already the champion.")
    elif proposal.refusal:
        print(f"\nIt would be refused. {proposal.refusal}")
    else:
        print("\nNothing was changed. To make it the champion: add apply=true")
    return None
