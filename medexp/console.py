"""The terminal that tables and bars are printed to."""

from __future__ import annotations

from rich.console import Console

NARROWEST = 120  # columns; a run id alone takes 32, and a cut one is of no use


def wide_console() -> Console:
    """Return standard output as a console whose tables cut no run id, in narrow terminals and pipes too.

    Text is printed as it is: names and overrides such as `data.label_columns=[edema]` are no markup.
    """
    return Console(highlight=False, markup=False, width=max(Console().width, NARROWEST))


def bar_console() -> Console:
    """Return standard error as a console for a bar: what is printed above it is printed as it is, not wrapped."""
    return Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
