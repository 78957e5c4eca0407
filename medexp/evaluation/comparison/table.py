"""A comparison in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from medexp.console import wide_console
from medexp.evaluation.comparison.comparison import Comparison, Pair, Placed
from medexp.evaluation.comparison.wording import against, verdict_text
from medexp.types import Estimate

_WIDEST = 10_000  # columns of a table


def print_comparison(found: Comparison, *, top: int) -> None:
    """Print variants, the comparisons of the best (or of the reference) and what they mean to standard output.

    Args:
        found: the comparison.
        top: how many variants, and comparisons, are shown; conclusions and adjusted p values are of all.
    """
    console = wide_console()
    _print(console, _variants(found, top))
    if found.pairs:
        subject, pairs = against(found)
        _print(console, _comparisons(found, subject, pairs[:top]))
        hidden = len(found.pairs) - len(pairs[:top])
        if hidden:
            console.print(f"  {hidden:,} more comparisons, which the adjusted p values count, are in the page.")
    for text in found.conclusions:
        console.print(f"  {text}")
    for text in found.warnings:
        console.print(f"  ! {text}", style="yellow")


def heading(found: Comparison) -> str:
    """Return what was compared on what, in one line."""
    groups = f" of {found.units:,} groups" if found.unit == "group" else ""
    synthetic = ", SYNTHETIC" if found.synthetic else ""
    good = "larger is better" if found.mode == "max" else "smaller is better"
    return (
        f"Test {found.metric} ({good}) on {found.data}: {found.images:,} images{groups}{synthetic}; "
        f"{found.confidence:.0%} intervals, {found.resamples:,} bootstrap samples by {found.unit}"
    )


def interval(estimate: Estimate, *, signed: bool = False) -> str:
    """Return an estimate with its interval, four decimals each."""
    sign = "+" if signed else ""
    return f"{estimate.value:{sign}.4f} [{estimate.low:{sign}.4f}, {estimate.high:{sign}.4f}]"


def p_text(p_value: float) -> str:
    """Return a p value with as many digits as it deserves."""
    return "< 0.0001" if p_value < 0.0001 else f"{p_value:.4f}" if p_value < 0.1 else f"{p_value:.2f}"


def runs_text(variant: Placed) -> str:
    """Return the id of a single run; of several how many, and the first."""
    more = f" and {len(variant.run_ids) - 1} more" if len(variant.run_ids) > 1 else ""
    return f"{variant.run_ids[0]}{more}"


def _variants(found: Comparison, top: int) -> Table:
    table = Table(title=heading(found), title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("variant", overflow="fold", min_width=24)
    table.add_column(found.metric, no_wrap=True)
    several = any(variant.deviation is not None for variant in found.variants)
    if several:
        table.add_column("runs", justify="right", no_wrap=True)
        table.add_column("deviation", justify="right", no_wrap=True)
    table.add_column("run id", no_wrap=True)
    for place, variant in enumerate(found.variants[:top], 1):
        spread = "" if variant.deviation is None else f"{variant.deviation:.4f}"
        cells = [str(len(variant.run_ids)), spread] if several else []
        name = f"{variant.name}{' (chosen by validation)' if variant.chosen else ''}"
        table.add_row(str(place), name, interval(variant.estimate), *cells, runs_text(variant))
    return table


def _comparisons(found: Comparison, subject: str, pairs: Sequence[Pair]) -> Table:
    caption = (
        f"adjusted p: Holm, over {len(found.pairs):,} comparison{'s' if len(found.pairs) != 1 else ''}; needed: images "
        f"that would show a difference as large as the one seen ({found.power:.0%} power)"
    )
    table = Table(
        title=f"{subject} against", title_justify="left", title_style="bold", box=SIMPLE_HEAD,
        caption=caption, caption_justify="left",
    )  # fmt: skip
    table.add_column("variant", overflow="fold", min_width=24)
    table.add_column("ahead by", no_wrap=True)
    table.add_column("test", no_wrap=True)
    for title in ("p", "adjusted p", "P(better)", *([f"P(within {found.rope:g})"] if found.rope else [])):
        table.add_column(title, justify="right", no_wrap=True)
    if any(pair.found.mcnemar is not None for pair in pairs):
        table.add_column("McNemar p", justify="right", no_wrap=True)
    table.add_column("needed", justify="right", no_wrap=True)
    table.add_column("verdict", min_width=12)
    if found.margin is not None:
        table.add_column(f"not inferior ({found.margin:g})", no_wrap=True)
    for pair in pairs:
        table.add_row(*_cells(found, subject, pair, mcnemar=any(one.found.mcnemar is not None for one in pairs)))
    return table


def _cells(found: Comparison, subject: str, pair: Pair, *, mcnemar: bool) -> list[str]:
    ahead = pair.a == subject
    gain = pair.found.advantage
    other, chance = (pair.b, pair.found.p_better) if ahead else (pair.a, 1 - pair.found.p_better)
    gain = gain if ahead else Estimate(-gain.value, -gain.high, -gain.low)
    verdict = verdict_text(pair, found)
    if not ahead and pair.verdict == "better":
        verdict = verdict.replace("better", "worse")
    needed = "" if pair.found.images_needed is None else f"{pair.found.images_needed:,}"
    cells = [other, interval(gain, signed=True), pair.found.test, p_text(pair.found.p_value), p_text(pair.p_adjusted)]
    cells.append(f"{chance:.3f}")
    if found.rope:
        cells.append(f"{pair.found.p_equivalent:.3f}")
    if mcnemar:
        cells.append("" if pair.found.mcnemar is None else p_text(pair.found.mcnemar))
    cells += [needed, verdict]
    if found.margin is not None:
        cells.append("yes" if pair.not_inferior else "not shown")
    return cells


def _print(console: Console, table: Table) -> None:
    least = console.measure(table, options=console.options.update(max_width=_WIDEST)).minimum
    console.width = max(console.width, least)  # else a run id would be cut
    console.print(table)
