"""Compare variants on one test split."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from medexp.errors import DataError, unknown
from medexp.evaluation.comparison.comparison import Comparison, Pair, Placed, winner_of
from medexp.evaluation.comparison.contrasts import Contrasts, Rows
from medexp.evaluation.comparison.holm import holm
from medexp.evaluation.comparison.paired import POWER, PairedDifference
from medexp.evaluation.comparison.variant import Variant
from medexp.evaluation.comparison.wording import conclusions, warnings
from medexp.types import Mode


@dataclass(frozen=True)
class Design:
    """What is to be found out, stated before looking.

    Args:
        metric: of the test split, such as `auc`.
        mode: whether a large value is good; None: as is usual for the metric.
        resamples: bootstrap samples.
        confidence: of the intervals; all comparisons together err with a probability of at most 1 - confidence.
        rope: differences up to this are none in practice.
        margin: a variant that is worse by less than this is not inferior; None makes no such claim.
        power: with which a difference is to be seen.
        seed: of the resampling.
        reference: the variant that others are compared with; None: everyone with everyone.
    """

    metric: str
    mode: Mode | None = None
    resamples: int = 2000
    confidence: float = 0.95
    rope: float = 0.0
    margin: float | None = None
    power: float = POWER
    seed: int = 0
    reference: str | None = None


def compare_variants(
    variants: Sequence[Variant], design: Design, *, data: str = "", digest: str = "", synthetic: bool = False
) -> Comparison:
    """Return which variants are better than which, and what the test split is too small to tell.

    Every comparison is paired: all variants saw the same images, and each bootstrap sample draws the same images, or
    patients, for all. Holm's adjustment is over all comparisons that are made, so that a variant may be looked at
    because it came out best.

    Args:
        variants: at least one, with different names.
        design: what is asked.
        data: name of the data set.
        digest: of its test split, which all were scored on.
        synthetic: whether its images were made by a program.

    Raises:
        DataError: they were tested on other images, there is no such metric, or no such reference.
    """
    runs = [run for variant in variants for run in variant.repetitions]
    contrasts = Contrasts(
        [run.predictions for run in runs], names=[run.run_id for run in runs], metric=design.metric,
        thresholds=[run.thresholds for run in runs], resamples=design.resamples, confidence=design.confidence,
        seed=design.seed, mode=design.mode, rope=design.rope, power=design.power,
    )  # fmt: skip
    rows = _rows(variants)
    sign = 1 if contrasts.mode == "max" else -1
    scores = {name: sign * float(contrasts.sampled.values[list(own)].mean()) for name, own in rows.items()}
    ordered = sorted(variants, key=lambda variant: -scores[variant.name])
    placed = tuple(_placed(variant, contrasts, rows[variant.name]) for variant in ordered)
    pairs = _pairs([variant.name for variant in ordered], rows, contrasts, design)
    comparison = Comparison(
        metric=design.metric,
        mode=contrasts.mode,
        data=data,
        digest=digest,
        synthetic=synthetic,
        images=contrasts.images,
        unit=contrasts.sampled.unit,
        units=contrasts.sampled.units,
        resamples=design.resamples,
        confidence=design.confidence,
        rope=design.rope,
        margin=design.margin,
        power=design.power,
        reference=design.reference,
        variants=placed,
        pairs=pairs,
        winner=winner_of(placed[0].name, pairs, others=len(placed) - 1),
        resolvable=statistics.median(pair.found.resolvable for pair in pairs) if pairs else None,
        optimism=_optimism(contrasts, list(rows.values()), sign=sign),
    )
    return replace(comparison, conclusions=conclusions(comparison), warnings=warnings(comparison))


def _rows(variants: Sequence[Variant]) -> dict[str, Rows]:
    """The rows of each variant's runs among all of them."""
    found: dict[str, Rows] = {}
    first = 0
    for variant in variants:
        if variant.name in found:
            raise DataError(f"Two variants have one name. Received: {variant.name}")
        found[variant.name] = tuple(range(first, first + len(variant.repetitions)))
        first += len(variant.repetitions)
    return found


def _placed(variant: Variant, contrasts: Contrasts, rows: Rows) -> Placed:
    values = contrasts.sampled.values[list(rows)]
    return Placed(
        name=variant.name,
        run_ids=tuple(run.run_id for run in variant.repetitions),
        seeds=tuple(run.seed for run in variant.repetitions),
        estimate=contrasts.estimate(rows),
        deviation=float(values.std(ddof=1)) if len(values) > 1 else None,
        chosen=variant.chosen,
    )


def _pairs(names: Sequence[str], rows: dict[str, Rows], contrasts: Contrasts, design: Design) -> tuple[Pair, ...]:
    """All comparisons, of variants in their order; with a reference those with it alone."""
    asked = list(combinations(names, 2))
    if design.reference is not None:
        if design.reference not in names:
            raise DataError(unknown("reference", design.reference, names))
        asked = [pair for pair in asked if design.reference in pair]
    found = [contrasts.between(rows[a], rows[b]) for a, b in asked]
    adjusted = holm([one.p_value for one in found])
    return tuple(
        Pair(a, b, one, p, _verdict(one, p, design), _not_inferior(one, design.margin))
        for (a, b), one, p in zip(asked, found, adjusted, strict=True)
    )


def _verdict(found: PairedDifference, p_adjusted: float, design: Design) -> str:
    if found.advantage.value > 0 and p_adjusted < 1 - design.confidence:
        return "better"
    if design.rope > 0 and -design.rope <= found.difference.low and found.difference.high <= design.rope:
        return "equivalent"
    return "unresolved"


def _not_inferior(found: PairedDifference, margin: float | None) -> bool | None:
    """Whether B is not inferior: the interval of what A is ahead stays below the margin."""
    return None if margin is None else found.advantage.high < margin


def _optimism(contrasts: Contrasts, rows: Sequence[Rows], *, sign: int) -> float:
    """The mean, over bootstrap samples, of what the best variant of a sample scores there above its own score."""
    means = sign * np.stack([contrasts.sampled.samples[list(own)].mean(axis=0) for own in rows])
    own = sign * np.array([contrasts.sampled.values[list(own)].mean() for own in rows])
    if len(rows) < 2 or not means.shape[1]:
        return 0.0
    centred = means - means.mean(axis=1, keepdims=True)  # what the metric itself is biased by is not meant
    best = (centred + own[:, None]).argmax(axis=0)
    return max(0.0, float(centred[best, np.arange(centred.shape[1])].mean()))
