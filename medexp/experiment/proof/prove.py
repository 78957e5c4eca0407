"""From tested runs to a comparison that is printed, written and recorded."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medexp.config.schema_compare import ProofConfig
from medexp.errors import ConfigError, unknown
from medexp.experiment.proof.same_test import require_same_test
from medexp.experiment.proof.tested_run import TestedRun
from medexp.types import Objective

if TYPE_CHECKING:
    from medexp.evaluation.comparison.comparison import Comparison
    from medexp.evaluation.comparison.variant import Variant

logger = logging.getLogger(__name__)
_DEFAULT = "auc"  # where runs were selected by a loss, which has no meaning of its own


@dataclass(frozen=True)
class Proof:
    """A comparison, and the files that hold it."""

    comparison: Comparison
    folder: Path


def compared(runs: Sequence[TestedRun], asked: ProofConfig, *, most: int | None = None) -> Comparison:
    """Return how the variants that runs are of compare on their test split: of more than `most` the best validated.

    Raises:
        MedexpError: they were tested on different images, or there is no such metric or reference.
    """
    from medexp.evaluation.comparison.compare import Design, compare_variants
    from medexp.experiment.proof.variants import pooled

    digest = require_same_test(runs)
    variants = pooled(runs, pool=asked.pool, most=most)
    objective = runs[0].result.objective
    design = Design(
        metric=asked.metric or default_metric(objective),
        mode=asked.mode,
        resamples=asked.resamples,
        confidence=asked.confidence,
        rope=asked.rope,
        margin=asked.margin,
        power=asked.power,
        seed=asked.seed,
        reference=_reference(asked.reference, variants),
    )
    data = runs[0].result.data
    return compare_variants(variants, design, data=data.name, digest=digest, synthetic=data.synthetic)


def show(found: Comparison, folder: Path, *, top: int, where: Mapping[str, str]) -> Proof:
    """Print a comparison, and write its numbers, page and forest plot into `folder`."""
    from medexp.evaluation.comparison.file import FILE, PAGE, PICTURE, write_comparison
    from medexp.evaluation.comparison.forest import draw_forest
    from medexp.evaluation.comparison.html import write_html
    from medexp.evaluation.comparison.table import print_comparison

    folder.mkdir(parents=True, exist_ok=True)
    write_comparison(found, folder / FILE)
    draw_forest(found, folder / PICTURE)
    write_html(found, forest=folder / PICTURE, path=folder / PAGE, where=where)
    print_comparison(found, top=top)
    return Proof(found, folder)


def numbers(found: Comparison) -> dict[str, float]:
    """Return what a tracking store shows of a comparison."""
    named: dict[str, float] = {
        "variants": len(found.variants),
        "comparisons": len(found.pairs),
        "test_images": found.images,
    }
    named |= {f"best_test_{found.metric}": found.leader.estimate.value}
    named |= {"differences_shown": sum(pair.verdict == "better" for pair in found.pairs)}
    if found.pairs:
        named["smallest_adjusted_p"] = min(pair.p_adjusted for pair in found.pairs)
    if found.resolvable is not None:
        named["resolvable_difference"] = found.resolvable
    return {f"comparison/{name}": float(value) for name, value in named.items()}


def facts(found: Comparison) -> dict[str, str]:
    """Return the tags of a run that holds a comparison."""
    return {
        "medexp.comparison.winner": found.winner or "none",
        "medexp.comparison.verdict": found.conclusions[0][:4000],
        "medexp.comparison.test_digest": found.digest,
    }


def default_metric(objective: Objective) -> str:
    """Return the metric of the test split that answers to what runs were selected by."""
    name = objective.metric.removeprefix("val_")
    return _DEFAULT if name == "loss" else name


def _reference(named: str | None, variants: Sequence[Variant]) -> str | None:
    """The name of the variant that is meant by its name, or by the id of one of its runs or the beginning of that."""
    if named is None:
        return None
    found = [
        variant.name
        for variant in variants
        if variant.name == named or any(run.run_id.startswith(named) for run in variant.repetitions)
    ]
    if len(found) != 1:
        names = [variant.name for variant in variants]
        raise ConfigError(f"proof.reference: {unknown('variant', named, names)} Or the id of one of its runs.")
    return found[0]
