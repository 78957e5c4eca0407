"""A comparison in words."""

from __future__ import annotations

from medexp.evaluation.comparison.comparison import Comparison, Pair

_MANY = 3  # variants, of which the best may be called chosen among many
_SHOWN = 3
_LITTLE = 0.0005  # that a score is too good by
_FEW = 30  # groups below which the bootstrap over them is rough


def conclusions(found: Comparison) -> tuple[str, ...]:
    """Return what may be claimed, the answer first, and what may not."""
    metric = f"test {found.metric}"
    if len(found.variants) == 1:
        one = found.leader
        return (
            f"One variant, {_named(one.name)}, with {metric} {one.estimate.value:.4f} "
            f"[{one.estimate.low:.4f}, {one.estimate.high:.4f}]: there is nothing to compare it with.",
        )
    said = [_answer(found)]
    if found.reference is not None:
        said += [_against(pair, found) for pair in found.of(found.reference)][:_SHOWN]
    equivalent = [pair.b for pair in found.of(found.leader.name) if pair.verdict == "equivalent"]
    if equivalent:
        said.append(
            f"Equal in practice to {_named(found.leader.name)}, whose lead is within {found.rope:g} for sure: "
            f"{_some(equivalent)}."
        )
    if found.margin is not None:
        good = [pair.b for pair in found.of(found.leader.name) if pair.a == found.leader.name and pair.not_inferior]
        said.append(
            f"Not inferior to {_named(found.leader.name)} by the margin of {found.margin:g}: "
            f"{_some(good) if good else 'none'}."
        )
    if found.resolvable is not None:
        said.append(
            f"These {found.images:,} images{_of_groups(found)} show a difference in {metric} from about "
            f"{found.resolvable:.4f} on ({found.power:.0%} power, before the adjustment for "
            f"{_count(found)}); a smaller one needs more images{_or_seeds(found)}."
        )
    return tuple(said)


def warnings(found: Comparison) -> tuple[str, ...]:
    """Return what else a reader must know."""
    said = []
    leader = found.leader
    if len(found.variants) >= _MANY and not leader.chosen and found.reference is None:
        much = f"about {found.optimism:.4f} or more" if found.optimism >= _LITTLE else "a little, being far ahead"
        said.append(
            f"{_named(leader.name)} is the best of {len(found.variants)} on the very images it is scored on: expect "
            f"its {found.metric} to be too good by {much}. The comparisons allow for that "
            "(Holm, over all of them); its score alone does not. Report it on images that chose nothing."
        )
    chosen = [variant for variant in found.variants if variant.chosen]
    if chosen and not leader.chosen:
        one = chosen[0]
        said.append(
            f"Validation chose {_named(one.name)}: {found.metric} {one.estimate.value:.4f} "
            f"[{one.estimate.low:.4f}, {one.estimate.high:.4f}]. Nothing on test has chosen it: report that score."
        )
    alone = [variant.name for variant in found.variants if len(variant.run_ids) == 1]
    if alone and len(found.variants) > 1:
        said.append(
            f"Trained once only: {_some(alone)}. What is said of such a variant is said of that network: another seed "
            "may turn it round. Train each with several seeds: -m seed=1,2,3"
        )
    if found.unit == "group" and found.units < _FEW:
        said.append(f"There are {found.units} groups only: intervals over so few are too narrow.")
    if found.synthetic:
        said.append("SYNTHETIC images: nothing here is a medical result.")
    return tuple(said)


def against(found: Comparison) -> tuple[str, tuple[Pair, ...]]:
    """Return the variant whose comparisons are shown, the reference or the best, and these comparisons."""
    subject = found.reference or found.leader.name
    return subject, found.of(subject)


def verdict_text(pair: Pair, found: Comparison) -> str:
    """Return what one comparison says, in a few words."""
    gain = pair.found.advantage
    if pair.verdict == "better":
        if found.rope and gain.high <= found.rope:
            return "better, by less than matters"
        return "better, by more than matters" if found.rope and gain.low > found.rope else "better"
    if pair.verdict == "equivalent":
        return "equal in practice"
    return "cannot be told apart"


def _answer(found: Comparison) -> str:
    leader, others = found.leader, found.variants[1:]
    name = _named(leader.name)
    level = f"{1 - found.confidence:.2g}"
    if found.winner is not None:
        smallest = min(pair.found.advantage.low for pair in found.of(leader.name))
        each = f"each of the {len(others)} others" if len(others) > 1 else _named(others[0].name)
        return (
            f"{name} is better than {each} in test {found.metric} (adjusted p < {level}), by at least "
            f"{max(smallest, 0):.4f}{_in_practice(found, smallest)}."
        )
    beaten = [pair.b for pair in found.of(leader.name) if pair.a == leader.name and pair.verdict == "better"]
    rest = [variant.name for variant in others if variant.name not in beaten]
    if found.reference not in (None, leader.name):
        rest = [name for name in rest if name == found.reference]
    claims = sum(pair.verdict == "better" for pair in found.pairs)
    ahead = f" It is better than {_some(beaten)}." if beaten else ""
    some = f" Of {_count(found)} {claims} show a difference." if claims and not beaten else ""
    none = "" if claims else " No difference between any two is shown."
    return (
        f"No winner: {name} has the best test {found.metric}, but is not shown to be better than "
        f"{_some(rest)} (adjusted p >= {level}).{ahead}{some}{none}"
    )


def _in_practice(found: Comparison, smallest: float) -> str:
    if not found.rope:
        return ""
    return ", which matters" if smallest > found.rope else f"; what matters in practice is more than {found.rope:g}"


def _against(pair: Pair, found: Comparison) -> str:
    gain = pair.found.advantage
    return (
        f"{_named(pair.a)} against {_named(pair.b)}: {verdict_text(pair, found)}; ahead by {gain.value:.4f} "
        f"[{gain.low:.4f}, {gain.high:.4f}], adjusted p = {pair.p_adjusted:.3g}."
    )


def _or_seeds(found: Comparison) -> str:
    return " or seeds" if any(variant.deviation is not None for variant in found.variants) else ""


def _of_groups(found: Comparison) -> str:
    return f" of {found.units:,} groups" if found.unit == "group" else ""


def _count(found: Comparison) -> str:
    return f"{len(found.pairs)} comparison{'s' if len(found.pairs) != 1 else ''}"


def _named(name: str) -> str:
    return f"'{name}'"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(_named(name) for name in names[:_SHOWN]) + more
