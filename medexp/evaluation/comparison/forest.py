"""Forest plot of a comparison."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medexp.evaluation.comparison.comparison import Comparison, Pair
from medexp.evaluation.comparison.wording import against
from medexp.figure import COLOURS, FAINT, INK, WIDTH, finish, save
from medexp.types import Estimate

_MOST = 40  # rows
_LONGEST = 46  # characters of a name
_LABELS = {"better": "shown (Holm)", "equivalent": "equal in practice", "unresolved": "not shown"}
_OF_VERDICT = {"better": COLOURS[2], "equivalent": COLOURS[0], "unresolved": COLOURS[5]}


def draw_forest(found: Comparison, path: Path) -> None:
    """Draw each variant's score with its interval, and how far the best (or the reference) is ahead of each other.

    A difference whose interval crosses 0 is drawn grey; the region of practical equivalence is a band, and the margin
    of non-inferiority a dashed line.

    Args:
        found: the comparison.
        path: of the PNG.
    """
    variants = found.variants[:_MOST]
    subject, pairs = against(found)
    rows = {variant.name: place for place, variant in enumerate(variants)}
    figure = Figure(figsize=(11.5 if pairs else 7.5, 1.7 + 0.36 * len(rows)), layout="constrained")
    drawn = figure.subplots(1, 2 if pairs else 1, sharey=True, squeeze=False)[0]
    _scores(drawn[0], found, rows)
    if pairs:
        _differences(drawn[1], found, subject, [pair for pair in pairs if _other(pair, subject) in rows], rows)
    save(figure, path)


def _scores(axes: Axes, found: Comparison, rows: dict[str, int]) -> None:
    for variant in found.variants[: len(rows)]:
        _bar(axes, variant.estimate, rows[variant.name], COLOURS[0])
    axes.set_yticks(list(rows.values()), [_short(name) for name in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    groups = f", {found.units} groups" if found.unit == "group" else ""
    title = f"test {found.metric}, {found.data} (n={found.images}{groups})"
    finish(axes, title=title, x=f"{found.metric}, {found.confidence:.0%} interval", y="")


def _differences(axes: Axes, found: Comparison, subject: str, pairs: list[Pair], rows: dict[str, int]) -> None:
    if found.rope:
        axes.axvspan(
            -found.rope, found.rope, color=FAINT, alpha=0.45, linewidth=0, label=f"equal in practice ({found.rope:g})"
        )
    axes.axvline(0, color=INK, linewidth=1)
    if found.margin is not None:
        axes.axvline(found.margin, color=COLOURS[1], linewidth=1.2, linestyle="--", label=f"margin {found.margin:g}")
    for pair in pairs:
        gain = pair.found.advantage
        gain = gain if pair.a == subject else Estimate(-gain.value, -gain.high, -gain.low)
        _bar(axes, gain, rows[_other(pair, subject)], _OF_VERDICT[pair.verdict])
    for verdict, label in (
        ("better", "shown (Holm)"),
        ("equivalent", "equal in practice"),
        ("unresolved", "not shown"),
    ):
        if any(pair.verdict == verdict for pair in pairs):
            axes.plot([], [], "o-", color=_OF_VERDICT[verdict], markersize=5, linewidth=WIDTH, label=label)
    axes.tick_params(axis="y", length=0)
    x = f"how far ahead in {found.metric}, {found.confidence:.0%} interval"
    finish(axes, title=f"{_short(subject)} ahead of", x=x, y="", legend_outside=True)


def _bar(axes: Axes, estimate: Estimate, row: int, colour: str) -> None:
    axes.plot([estimate.low, estimate.high], [row, row], color=colour, linewidth=WIDTH, solid_capstyle="butt")
    axes.plot([estimate.value], [row], "o", color=colour, markersize=5.5)


def _other(pair: Pair, subject: str) -> str:
    return pair.b if pair.a == subject else pair.a


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
