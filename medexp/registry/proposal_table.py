"""Show a person what promotion would do."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table

from medexp.console import wide_console
from medexp.registry.promotion import Candidate, Proposal

_ROWS = (
    "test_auc",
    "test_accuracy",
    "test_subset_accuracy",
    "test_sensitivity",
    "test_specificity",
    "test_f1",
    "test_quadratic_kappa",
    "test_mean_absolute_error",
)
_SHOWN = 5


def print_proposal(proposal: Proposal) -> None:
    """Print candidate and champion side by side, the runners-up, and the verdict, to standard output."""
    console = wide_console()
    candidate, champion = proposal.candidate, proposal.champion
    table = Table(
        title=f"{proposal.model_name}: the best of {len(proposal.ranked)} runs on {candidate.data}, "
        f"by {proposal.objective.metric}",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
    )
    table.add_column("", no_wrap=True)
    table.add_column("candidate", overflow="fold", min_width=34)
    heading = "champion" if champion is None else f"champion (version {champion.version})"
    table.add_column(heading, overflow="fold", min_width=34)
    table.add_row("run", candidate.name, champion.name if champion else "none yet")
    table.add_row("run id", candidate.run_id, champion.run_id if champion else "")
    table.add_row(
        "overrides", candidate.overrides or "(defaults)", (champion.overrides or "(defaults)") if champion else ""
    )
    table.add_row("data", _data(candidate), _data(champion) if champion else "")
    table.add_row(
        proposal.objective.metric, f"{candidate.score:.4f}", f"{champion.score:.4f}" if champion else "", style="bold"
    )
    for name in _ROWS:
        if name in candidate.metrics:
            its = champion.metrics.get(name) if champion else None
            table.add_row(name, f"{candidate.metrics[name]:.4f}", "" if its is None else f"{its:.4f}")
    console.print(table)
    for place, other in enumerate(proposal.ranked[1:_SHOWN], 2):
        console.print(f"  {place}. {other.score:.4f}  {other.name}  {other.run_id}")
    for (name, digest), count in sorted(proposal.elsewhere.items()):
        console.print(f"  Not compared: {count} on other data, {name}. To see: dataset={digest} accept_other_data=true")
    if candidate.synthetic:
        console.print("  The candidate was trained on SYNTHETIC images: it must not be used on patients.")


def _data(candidate: Candidate) -> str:
    return f"{candidate.data} {candidate.digest}{' SYNTHETIC' if candidate.synthetic else ''}"
