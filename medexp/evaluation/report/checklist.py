"""A reporting checklist whose items are filled from evidence, or listed as open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Answer:
    """What a report says on one topic, and the section of the page that shows it."""

    text: str
    anchor: str


@dataclass(frozen=True)
class Item:
    """One item of a checklist.

    Args:
        number: as published.
        section: of the checklist.
        asks: for what, in our words.
        topics: what fills it: keys of answers.
        people: what it asks for beside these that no program knows; empty where answers to all topics fill it.
    """

    number: str
    section: str
    asks: str
    topics: tuple[str, ...] = ()
    people: str = ""


@dataclass(frozen=True)
class FilledItem:
    """An item with what is known; `open` is what is not: nothing, of an item that is filled."""

    item: Item
    answers: tuple[Answer, ...]
    open: tuple[str, ...]

    @property
    def status(self) -> Literal["filled", "partly", "open"]:
        """Whether all of it is known, some of it, or nothing."""
        if not self.open:
            return "filled"
        return "partly" if self.answers else "open"


@dataclass(frozen=True)
class Checklist:
    """A checklist as far as it is filled."""

    name: str
    anchor: str
    source: str
    items: tuple[FilledItem, ...]

    def count(self, status: str) -> int:
        """Return how many items are `filled`, `partly` filled or `open`."""
        return sum(item.status == status for item in self.items)


def filled(
    items: Sequence[Item],
    answers: Mapping[str, Answer],
    missing: Mapping[str, str],
    *,
    name: str,
    anchor: str,
    source: str,
) -> Checklist:
    """Return the checklist with what is known.

    Args:
        items: as published.
        answers: by topic, those that there are.
        missing: by topic, what it is and what would fill it.
        name: of the checklist.
        anchor: of its section on the page.
        source: where it is published.
    """
    return Checklist(
        name,
        anchor,
        source,
        tuple(
            FilledItem(
                item,
                tuple(answers[topic] for topic in item.topics if topic in answers),
                (*(missing[topic] for topic in item.topics if topic not in answers), *filter(None, (item.people,))),
            )
            for item in items
        ),
    )
