"""A comparison in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from medexp.console import wide_console
from medexp.evaluation.comparison.comparison import Comparison, Pair, Placed
from medexp.evaluation.comparison.paired import MCNEMAR
from medexp.evaluation.comparison.wording import against, verdict_text
from medexp.types import Estimate

_WIDEST = 10_000  # columns of a table
_NAME = 20  # columns that a name has at least


def print_comparison(found: Comparison, *, top: int) -> None:
    """Print variants, the comparisons of the best (or of the reference) and what they mean to standard output.

    Args:
        found: the comparison.
        top: how many variants, and comparisons, are shown; conclusions and adjusted p values are of all.
    """
    console = wide_console()
    console.print(heading(found), style="bold", soft_wrap=True)
    _print(console, _variants(found, top))
    if found.pairs:
        subject, pairs = against(found)
        console.print(f"{subject} against", style="bold", soft_wrap=True)
        _print(console, _comparisons(found, subject, pairs[:top]))
        hidden = len(found.pairs) - len(pairs[:top])
        if hidden:
            console.print(f"  The page has {hidden:,} more, which the adjusted p values count.")
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


def interval(estimate: Estimate) -> str:
    """Return an estimate with its interval, four decimals each."""
    return f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"


def p_text(p_value: float) -> str:
    """Return a p value with as many digits as it deserves."""
    return "< 0.0001" if p_value < 0.0001 else f"{p_value:.4f}" if p_value < 0.1 else f"{p_value:.2f}"


def runs_text(variant: Placed) -> str:
    """Return the id of a single run; of several how many, and the first."""
    more = f" and {len(variant.run_ids) - 1} more" if len(variant.run_ids) > 1 else ""
    return f"{variant.run_ids[0]}{more}"


def _variants(found: Comparison, top: int) -> Table:
    table = _table()
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("variant", overflow="fold", min_width=_NAME)
    several = any(variant.deviation is not None for variant in found.variants)
    rows = []
    for place, variant in enumerate(found.variants[:top], 1):
        name = f"{variant.name}{' *' if variant.chosen else ''}"
        spread = "" if variant.deviation is None else f"{variant.deviation:.4f}"
        cells = [str(len(variant.run_ids)), spread] if several else []
        rows.append([str(place), name, interval(variant.estimate), *cells, runs_text(variant)])
    if any(variant.chosen for variant in found.variants[:top]):
        table.caption_style, table.caption_justify = "dim", "left"
        table.caption = "* the best by validation: test images have not chosen it"
    titles = [found.metric, *(["runs", "deviation"] if several else []), "run id"]
    return _filled(table, titles, rows, numbers=("runs", "deviation"))


def _comparisons(found: Comparison, subject: str, pairs: Sequence[Pair]) -> Table:
    tests = ", ".join(dict.fromkeys(pair.found.test for pair in pairs))
    table = _table()
    table.caption_style, table.caption_justify = "dim", "left"
    table.caption = (
        f"p: {tests}; adjusted: Holm, over {len(found.pairs):,} comparison{'s' if len(found.pairs) != 1 else ''}; "
        f"needed: images that would show a difference as large as the one seen ({found.power:.0%} power)"
    )
    table.add_column("variant", overflow="fold", min_width=_NAME)
    mcnemar = any(pair.found.mcnemar is not None and pair.found.test != MCNEMAR for pair in pairs)
    columns = ["ahead by", "p", "adjusted", "P(better)"]
    columns += ["P(equal)"] if found.rope else []
    columns += ["McNemar"] if mcnemar else []
    columns += ["needed", "verdict"]
    columns += ["not inferior"] if found.margin is not None else []
    rows = [_cells(found, subject, pair, mcnemar=mcnemar) for pair in pairs]
    return _filled(table, columns, rows, numbers=("p", "adjusted", "P(better)", "P(equal)", "McNemar", "needed"))


def _cells(found: Comparison, subject: str, pair: Pair, *, mcnemar: bool) -> list[str]:
    ahead = pair.a == subject
    gain = pair.found.advantage
    other, chance = (pair.b, pair.found.p_better) if ahead else (pair.a, 1 - pair.found.p_better)
    gain = gain if ahead else Estimate(-gain.value, -gain.high, -gain.low)
    verdict = verdict_text(pair, found)
    if not ahead and pair.verdict == "better":
        verdict = verdict.replace("better", "worse")
    cells = [other, interval(gain), p_text(pair.found.p_value), p_text(pair.p_adjusted), f"{chance:.3f}"]
    cells += [f"{pair.found.p_equivalent:.3f}"] if found.rope else []
    if mcnemar:
        cells.append("" if pair.found.mcnemar is None else p_text(pair.found.mcnemar))
    cells += ["" if pair.found.images_needed is None else f"{pair.found.images_needed:,}", verdict]
    if found.margin is not None:
        cells.append("not shown" if not ahead or not pair.not_inferior else "yes")
    return cells


def _table() -> Table:
    return Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _filled(table: Table, titles: Sequence[str], rows: Sequence[list[str]], *, numbers: Sequence[str]) -> Table:
    """Add columns that are as wide as what is in them, after those that there are, and the rows."""
    first = len(table.columns)
    for place, title in enumerate(titles, first):
        widest = max(len(text) for text in (title, *(row[place] for row in rows)))
        table.add_column(title, justify="right" if title in numbers else "left", no_wrap=True, min_width=widest)
    for row in rows:
        table.add_row(*row)
    return table


def _print(console: Console, table: Table) -> None:
    least = console.measure(table, options=console.options.update(max_width=_WIDEST)).minimum
    console.width = max(console.width, least)  # else a run id would be cut
    console.print(table)
