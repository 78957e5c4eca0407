"""The gate of the champion: better beyond chance, or not worse beyond a margin."""

from __future__ import annotations

from medexp.registry.gates.facts import Facts, Paired
from medexp.registry.gates.images_needed import images_needed
from medexp.registry.gates.result import GateResult
from medexp.registry.gates.rules import Alias, ChampionRule


def champion_gate(facts: Facts, rule: ChampionRule, *, alias: Alias) -> GateResult:
    """Hold the candidate against the champion on the same test images; passes where there is no champion."""
    superior = rule.of(alias) == "superiority"
    what = f"superior in {rule.metric}" if superior else f"not inferior in {rule.metric} by {rule.margin:g}"
    paired = facts.paired
    if paired is None:
        if facts.paired_problem is None:
            return GateResult.of("champion", what, "no champion yet", passed=True)
        return GateResult.of("champion", what, facts.paired_problem, passed=False)
    if superior:
        required = f"{what}, two-sided p < {1 - paired.confidence:.2g}"
        passed, needed = paired.superior, paired.images_needed if paired.advantage.value > 0 else None
    else:
        required = f"{what}: {paired.confidence:.0%} interval above {-rule.margin:g}"
        passed = paired.advantage.low > -rule.margin
        needed = images_needed(paired, margin=rule.margin, power=rule.power)
    found = _found(paired)
    if not passed:
        found += f". {_enough(paired, needed, rule.power)}"
    return GateResult.of("champion", required, found, passed=passed)


def _found(paired: Paired) -> str:
    seen = paired.advantage
    units = f" of {paired.units:,} patients or groups" if paired.units != paired.images else ""
    text = (
        f"{paired.candidate:.4f}, champion {paired.champion:.4f}: advantage {seen.value:+.4f} ({seen.low:+.4f} to "
        f"{seen.high:+.4f}, p = {paired.p_value:.2g}) on {paired.images:,} images{units}"
    )
    if paired.rescored:
        text += f"; champion scored again ({paired.rescored})"
    if paired.left_out:
        text += f"; {paired.left_out:,} images left out that the champion has learnt from"
    return text


def _enough(paired: Paired, needed: int | None, power: float) -> str:
    if needed is None:
        return "If the difference is as seen, no number of images would show it"
    return f"If the difference is as seen, {max(needed, paired.images + 1):,} images would show it ({power:.0%} power)"
