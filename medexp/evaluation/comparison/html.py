"""A comparison as one page to read."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from medexp.evaluation.comparison.comparison import Comparison, Pair
from medexp.evaluation.comparison.table import heading, interval, p_text
from medexp.evaluation.comparison.wording import verdict_text

_MATRIX = 24  # variants that a matrix has room for


def write_html(found: Comparison, *, forest: Path, path: Path, where: Mapping[str, str] | None = None) -> None:
    """Write a page that needs nothing beside it: style inline, the picture as a `data:` address, no script.

    Args:
        found: the comparison; all of it is shown.
        forest: the PNG of `draw_forest`.
        path: of the page; its folder exists.
        where: what else a reader may want to know, by name: the sweep, the command.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("medexp.evaluation.comparison", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = [variant.name for variant in found.variants]
    page = environment.get_template("comparison.html.jinja").render(
        found=found,
        heading=heading(found),
        picture=base64.b64encode(forest.read_bytes()).decode(),
        interval=interval,
        p_text=p_text,
        verdict=lambda pair: verdict_text(pair, found),
        mcnemar=any(pair.found.mcnemar is not None for pair in found.pairs),
        matrix=_matrix(found) if 2 < len(names) <= _MATRIX else None,
        where=where or {},
    )
    path.write_text(page, encoding="utf-8")


def _matrix(found: Comparison) -> list[list[Pair | None]]:
    """A row for each variant, a column for each: the comparison of the two, None on the diagonal and where none is."""
    by_names = {frozenset((pair.a, pair.b)): pair for pair in found.pairs}
    names = [variant.name for variant in found.variants]
    return [[by_names.get(frozenset((a, b))) if a != b else None for b in names] for a in names]
