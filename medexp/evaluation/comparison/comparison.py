"""What a comparison of variants finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medexp.evaluation.comparison.paired import PairedDifference
from medexp.types import Estimate, Mode


@dataclass(frozen=True)
class Placed:
    """One variant in its place.

    Args:
        name: of it.
        run_ids: its runs.
        seeds: of these.
        estimate: mean of its runs, with the interval that test images and seeds leave.
        deviation: standard deviation over its runs; None of a single one.
        chosen: the best by validation.
    """

    name: str
    run_ids: tuple[str, ...]
    seeds: tuple[str, ...]
    estimate: Estimate
    deviation: float | None
    chosen: bool


@dataclass(frozen=True)
class Pair:
    """Two variants, A the one with the better score.

    Args:
        a: name of the one.
        b: of the other.
        found: A - B.
        p_adjusted: its p value, adjusted for all comparisons (Holm).
        verdict: `better`; `equivalent` (the interval lies within the region of practical equivalence); `unresolved`.
        not_inferior: whether B is worse than A by less than the margin; None where no margin was stated.
    """

    a: str
    b: str
    found: PairedDifference
    p_adjusted: float
    verdict: str
    not_inferior: bool | None


@dataclass(frozen=True)
class Comparison:
    """Variants on one test split, the best score first, and all comparisons between them.

    Args:
        metric: without its split.
        mode: whether a large value is good.
        data: name of the data set.
        digest: of the test split that all were scored on.
        synthetic: whether its images were made by a program.
        images: how many.
        unit: what was resampled: `group` (patients) or `image`.
        units: how many of these.
        resamples: bootstrap samples.
        confidence: of the intervals; 1 - confidence is what all comparisons together may err.
        rope: the region of practical equivalence; 0 where none was stated.
        margin: of non-inferiority; None where none was stated.
        power: of the smallest differences.
        reference: the variant that all others are compared with; None: everyone with everyone.
        variants: the best score first.
        pairs: all comparisons that were made: Holm counts them all.
        winner: the variant that is better than each other; None where there is none.
        resolvable: the smallest difference that this test split shows, the median over the comparisons.
        optimism: how much too good the best score is to be expected, being the best of so many on these very images.
        conclusions: in words, the answer first.
        warnings: in words.
    """

    metric: str
    mode: Mode
    data: str
    digest: str
    synthetic: bool
    images: int
    unit: str
    units: int
    resamples: int
    confidence: float
    rope: float
    margin: float | None
    power: float
    reference: str | None
    variants: tuple[Placed, ...]
    pairs: tuple[Pair, ...]
    winner: str | None
    resolvable: float | None
    optimism: float
    conclusions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def leader(self) -> Placed:
        """The variant with the best score."""
        return self.variants[0]

    def of(self, name: str) -> tuple[Pair, ...]:
        """The comparisons of one variant, in the order of the others."""
        return tuple(pair for pair in self.pairs if name in (pair.a, pair.b))


def winner_of(leader: str, pairs: Sequence[Pair], *, others: int) -> str | None:
    """Return the leader, where it was found better than each other variant."""
    won = [pair for pair in pairs if pair.a == leader and pair.verdict == "better"]
    return leader if others and len(won) == others else None
