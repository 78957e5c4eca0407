"""What the audit says: findings, each with the instances that it was found in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["refuse", "warn", "note"]
TOKEN_LENGTH = 16


@dataclass(frozen=True)
class ImageRef:
    """One image of an instance.

    Args:
        token: the first 16 hexadecimal digits of its content's SHA-256: the same wherever the file lies.
        key: its name in the data set.
        split: train, val or test.
        label: its class, or its classes joined by " + ".
        group: its group; None where there are none.
        row: its place in the data set.
    """

    token: str
    key: str
    split: str
    label: str
    group: str | None
    row: int


@dataclass(frozen=True)
class Instance:
    """One place where a finding holds: a pair of images, a group, a class in a split.

    Args:
        kind: of the finding.
        tokens: what it is made of, whatever the order and the names of the files: contents of images, one for each
            copy; the name of a group; a class in a split, such as val/melanoma.
        images: the images that show it (of a large group only a few).
        text: what is the matter here, a few words.
        numbers: such as a distance or counts.
        accepted: why it is accepted; None where it is not.
    """

    kind: str
    tokens: tuple[str, ...]
    images: tuple[ImageRef, ...] = ()
    text: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    accepted: str | None = None

    @property
    def id(self) -> str:
        """What an acceptance names it by: its tokens, sorted and joined by "~", such as a~b for a pair of images."""
        return "~".join(sorted(self.tokens))

    @property
    def name(self) -> str:
        """What to call it in one line of a message."""
        copies = self.kind.startswith(("duplicates_", "conflicting_"))
        between = " ~ " if self.kind.startswith("near_") else " = " if copies else ", "
        shown = between.join(f"{image.key} ({image.split}, {image.label})" for image in self.images[:3])
        more = f" and {len(self.images) - 3} more" if len(self.images) > 3 else ""
        if not shown:
            return self.text or self.id
        return f"{self.text}: {shown}{more}" if self.text else f"{shown}{more}"


@dataclass(frozen=True)
class Finding:
    """One thing that is the matter with a data set.

    Args:
        kind: such as `duplicates_across_splits`; see `catalogue`.
        severity: `refuse` stops a strict training, `warn` is to be read, `note` is to be known.
        summary: one sentence with the numbers.
        instances: where it holds; at least one.
        statistics: p-values, effect sizes, areas under the curve with their intervals, thresholds.
    """

    kind: str
    severity: Severity
    summary: str
    instances: tuple[Instance, ...]
    statistics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Acceptance:
    """A finding that is known and accepted.

    Args:
        finding: its kind.
        items: the id of each instance. It names all images of that instance, and a copy as often as it occurs: one
            more copy, or another pair of the same images, has another id and is refused again.
        reason: why.
    """

    finding: str
    items: tuple[str, ...]
    reason: str

    def covers(self, instance: Instance) -> bool:
        """Whether it is the same kind and its id is among the items."""
        return self.finding == instance.kind and instance.id in self.items


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return such as "1 image" or "1,204 images"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def p_value(p: float) -> str:
    """Return such as "p = 0.012"; below what is worth telling apart, "p < 1e-12"."""
    return f"p = {p:.2g}" if p >= 1e-12 else "p < 1e-12"


def listed(names: Sequence[str], limit: int = 3) -> str:
    """Return such as "a, b, c and 4 more"."""
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
