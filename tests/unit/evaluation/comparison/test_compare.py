"""Many variants on one test split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from compared import Bench

from medexp.errors import DataError
from medexp.evaluation.comparison.compare import Design, compare_variants
from medexp.evaluation.comparison.comparison import Comparison
from medexp.evaluation.comparison.variant import Variant


def of_equals(seed: int, metric: str, *, images: int = 150, count: int = 20, runs: int = 1) -> Comparison:
    """A sweep of variants that are equally good."""
    bench = Bench(seed, images=images)
    variants = [bench.variant(f"v{i}", runs=runs) for i in range(count)]
    return compare_variants(variants, Design(metric, resamples=200))


def of_noises(bench: Bench, name: str, noises: Iterable[float]) -> Variant:
    """A variant whose seeds differ."""
    runs = (bench.variant(f"{name}{i}", noise=noise).repetitions[0] for i, noise in enumerate(noises))
    return Variant(name, tuple(runs))


def false_claims(found: list[Comparison]) -> tuple[int, int]:
    """How many report a winner, and how many any difference at all."""
    return sum(one.winner is not None for one in found), sum(
        any(p.verdict == "better" for p in one.pairs) for one in found
    )


@pytest.mark.parametrize("metric", ["auc", "accuracy"])
def test_of_twenty_equal_variants_hardly_ever_one_is_reported(metric: str) -> None:
    winners, claims = false_claims([of_equals(seed, metric) for seed in range(10)])
    assert winners == 0
    assert claims <= 1


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["auc", "accuracy", "f1", "average_precision"])
def test_under_the_null_a_sweep_of_twenty_equal_variants_reports_a_winner_in_at_most_one_in_twenty(metric: str) -> None:
    winners, claims = false_claims([of_equals(seed, metric, images=200) for seed in range(1000)])
    assert winners <= 50
    assert claims <= 50


def test_without_the_adjustment_the_same_sweeps_would_claim_a_difference_in_most() -> None:
    found = [of_equals(seed, "auc") for seed in range(6)]
    assert sum(any(pair.found.p_value < 0.05 for pair in one.pairs) for one in found) > 3


def test_a_variant_that_is_better_is_found_to_be_among_twenty() -> None:
    bench = Bench(1, images=600)
    variants = [bench.variant(f"v{i}", noise=1.6) for i in range(19)] + [bench.variant("good", noise=0.3)]
    found = compare_variants(variants, Design("auc", resamples=400))
    assert found.winner == "good"
    assert found.leader.name == "good"
    assert len(found.pairs) == 190
    assert found.conclusions[0].startswith(
        "'good' is better than each of the 19 others in test auc (adjusted p < 0.05)"
    )


def test_all_comparisons_count_whichever_is_looked_at() -> None:
    bench = Bench(2)
    variants = [bench.variant(name) for name in "abcd"]
    found = compare_variants(variants, Design("auc", resamples=200))
    smallest = min(found.pairs, key=lambda pair: pair.found.p_value)
    assert smallest.p_adjusted == pytest.approx(min(1, 6 * smallest.found.p_value))


def test_a_reference_that_is_stated_costs_fewer_comparisons() -> None:
    bench = Bench(3)
    variants = [bench.variant(name) for name in "abcd"]
    found = compare_variants(variants, Design("auc", resamples=200, reference="c"))
    assert {frozenset((pair.a, pair.b)) for pair in found.pairs} == {frozenset(("c", other)) for other in "abd"}
    with pytest.raises(DataError, match="Unknown reference"):
        compare_variants(variants, Design("auc", resamples=200, reference="z"))


def test_seeds_are_pooled_and_what_they_differ_by_widens_the_interval() -> None:
    bench = Bench(4, images=2000)
    steady = bench.variant("steady", runs=3, noise=1.0)
    noisy = Variant(
        "noisy", tuple(bench.variant(f"n{i}", noise=n).repetitions[0] for i, n in enumerate((0.4, 1.2, 2.0)))
    )
    found = compare_variants([steady, noisy], Design("auc", resamples=400))
    by_name = {variant.name: variant for variant in found.variants}
    assert (by_name["noisy"].deviation or 0) > 5 * (by_name["steady"].deviation or 0)
    width = {name: one.estimate.high - one.estimate.low for name, one in by_name.items()}
    assert width["noisy"] > 3 * width["steady"]
    single = compare_variants(
        [replace(steady, repetitions=steady.repetitions[:1]), replace(noisy, repetitions=noisy.repetitions[:1])],
        Design("auc", resamples=400),
    )
    assert single.pairs[0].verdict == "better"  # of these two networks it is true
    assert found.pairs[0].verdict == "unresolved"  # of the recipes it is not known
    assert found.pairs[0].found.runs == (3, 3)


def test_the_mean_over_seeds_is_the_score_of_a_variant() -> None:
    bench = Bench(5)
    variant = bench.variant("v", runs=3)
    alone = [compare_variants([Variant("v", (run,))], Design("auc", resamples=200)) for run in variant.repetitions]
    pooled = compare_variants([variant], Design("auc", resamples=200))
    assert pooled.leader.estimate.value == pytest.approx(np.mean([one.leader.estimate.value for one in alone]))
    assert "nothing to compare it with" in pooled.conclusions[0]


def test_intervals_of_three_seeds_cover_the_truth_between_recipes() -> None:
    """Recipes are equal; each training is a little better or worse by chance."""
    covered = []
    for seed in range(60):
        rng, bench = np.random.default_rng(seed), Bench(seed, images=300)
        variants = [
            Variant(
                name, tuple(bench.variant(f"{name}{i}", noise=rng.uniform(0.4, 1.8)).repetitions[0] for i in range(3))
            )
            for name in "ab"
        ]
        interval = compare_variants(variants, Design("auc", resamples=200)).pairs[0].found.difference
        covered.append(interval.low <= 0 <= interval.high)
    assert np.mean(covered) >= 0.9


def test_the_best_of_many_is_said_to_flatter_itself_by_about_as_much_as_it_does() -> None:
    found = [of_equals(seed, "auc", count=12) for seed in range(20)]
    mean = np.mean([np.mean([one.estimate.value for one in sweep.variants]) for sweep in found])
    flattered = np.mean([sweep.leader.estimate.value for sweep in found]) - mean
    said = np.mean([sweep.optimism for sweep in found])
    assert 0.5 * flattered < said < 1.1 * flattered
    assert "is the best of 12 on the very images it is scored on" in found[0].warnings[0]


def test_the_choice_of_validation_is_not_warned_of_and_is_shown_beside_the_best() -> None:
    bench = Bench(6, images=400)
    variants = [bench.variant("a", noise=0.4, chosen=True), bench.variant("b"), bench.variant("c", noise=1.4)]
    clean = compare_variants(variants, Design("auc", resamples=200))
    assert not any("very images" in text for text in clean.warnings)
    chosen_else = [replace(variants[0], chosen=False), replace(variants[1], chosen=True), variants[2]]
    warned = compare_variants(chosen_else, Design("auc", resamples=200)).warnings
    assert any("very images" in text for text in warned)
    assert any(text.startswith("Validation chose 'b'") for text in warned)


def test_non_inferiority_is_said_only_of_a_margin_that_was_stated() -> None:
    bench = Bench(7, images=1500)
    variants = [bench.variant("a", noise=1.0), bench.variant("b", noise=1.05)]
    silent = compare_variants(variants, Design("auc", resamples=200))
    stated = compare_variants(variants, Design("auc", resamples=200, margin=0.05))
    assert silent.pairs[0].not_inferior is None
    assert stated.pairs[0].not_inferior is True
    assert not any("margin" in text for text in silent.conclusions)
    assert any("Not inferior" in text and "0.05" in text for text in stated.conclusions)
    tight = compare_variants(variants, Design("auc", resamples=200, margin=1e-4))
    assert tight.pairs[0].not_inferior is False


def test_a_difference_that_is_certainly_small_is_equal_in_practice() -> None:
    bench = Bench(8, images=3000)
    a = bench.variant("a")
    shifted = bench.of_scores(a.repetitions[0].predictions.scores * 0.999 + 1e-4 * np.arange(3000) % 0.0005)
    b = Variant("b", (replace(a.repetitions[0], run_id="b", predictions=shifted),))
    found = compare_variants([a, b], Design("auc", resamples=200, rope=0.01))
    assert found.pairs[0].verdict == "equivalent"
    assert any("Equal in practice" in text for text in found.conclusions)
