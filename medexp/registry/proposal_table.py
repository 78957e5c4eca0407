"""Show a person what promotion would do, and why."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from medexp.console import wide_console
from medexp.registry.candidates import Candidate, Proposal
from medexp.registry.gates.result import GateResult

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
_STYLES = {"passed": "green", "failed": "bold red", "waived": "yellow"}


def print_proposal(proposal: Proposal, *, model_name: str) -> None:
    """Print candidate and champion side by side, and the runners-up, to standard output."""
    console = wide_console()
    candidate, champion = proposal.candidate, proposal.champion
    of = f"the best of {len(proposal.ranked)} runs" if len(proposal.ranked) > 1 else "one run"
    table = Table(
        title=f"{model_name}: {of} on {candidate.data}, by {proposal.objective.metric}",
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
        proposal.objective.metric, _number(candidate.score), _number(champion.score) if champion else "", style="bold"
    )
    for name in _ROWS:
        if name in candidate.metrics:
            table.add_row(
                name, _number(candidate.metrics[name]), _number(champion.metrics.get(name)) if champion else ""
            )
    console.print(table)
    for place, other in enumerate(proposal.ranked[1:_SHOWN], 2):
        console.print(f"  {place}. {_number(other.score)}  {other.name}  {other.run_id}")
    for (name, digest), count in sorted(proposal.elsewhere.items()):
        console.print(f"  Not compared: {count} on other data, {name}. To see: dataset={digest}")
    if candidate.synthetic:
        console.print("  The candidate was trained on SYNTHETIC images: it must not be used on patients.")


def print_gates(results: Sequence[GateResult]) -> None:
    """Print each gate, what it requires, what was found and its verdict, to standard output."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("gate", no_wrap=True)
    table.add_column("required", overflow="fold", ratio=3)
    table.add_column("found", overflow="fold", ratio=5)
    table.add_column("verdict", no_wrap=True)
    for result in results:
        table.add_row(result.gate, result.required, result.found, result.verdict, style=_STYLES[result.verdict])
    wide_console().print(table)


def _data(candidate: Candidate) -> str:
    return f"{candidate.data} {candidate.digest}{' SYNTHETIC' if candidate.synthetic else ''}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
