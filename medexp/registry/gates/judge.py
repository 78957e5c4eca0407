"""All gates of one candidate."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from medexp.registry.gates.comparison import champion_gate
from medexp.registry.gates.facts import DataFacts, EngineFacts, Facts
from medexp.registry.gates.result import GateResult
from medexp.registry.gates.rules import Alias, CalibrationRule, EngineRule, FloorRule, Rules, SubgroupRule
from medexp.types import Estimate

ERRORS = ("log_loss", "brier", "mean_absolute_error", "ece")  # metrics of which less is better


def judge(facts: Facts, rules: Rules, *, alias: Alias, waive: Collection[str] = ()) -> tuple[GateResult, ...]:
    """Return the verdict of each gate that is asked for, in the order of `GATES`; `floors` has a line for each metric.

    Args:
        facts: of the candidate.
        rules: what is required.
        alias: that it is to get.
        waive: names of gates whose failure is accepted.
    """
    return tuple(result.waived() if result.gate in waive else result for result in _results(facts, rules, alias))


def _results(facts: Facts, rules: Rules, alias: Alias) -> Iterator[GateResult]:
    problem = facts.bundle_problem
    yield GateResult.of(
        "bundle", "opens, unchanged, answers as recorded", problem or "verified", passed=problem is None
    )
    missing = facts.evidence_problem
    yield GateResult.of("evaluation", "an evaluation of this model", missing or "read", passed=missing is None)
    if rules.same_data:
        yield _data(facts.data, facts.champion_data)
    if rules.leakage is not None:
        yield _audit(facts, rules.leakage)
    if rules.floors is not None:
        yield from _floors(facts, rules.floors)
    if rules.champion is not None:
        yield champion_gate(facts, rules.champion, alias=alias)
    if rules.subgroup is not None:
        yield _subgroup(facts, rules.subgroup)
    if rules.calibration is not None:
        yield _calibration(facts, rules.calibration)
    if rules.latency_ms is not None:
        yield _latency(facts, rules.latency_ms)
    if rules.engines is not None:
        yield _engines(facts.engines, rules.engines)


def _data(data: DataFacts, champion: DataFacts | None) -> GateResult:
    if champion is None:
        return GateResult.of("data", "the champion's question", "no champion yet", passed=True)
    required = f"{champion.task} of {', '.join(champion.class_names)} on {champion.name}"
    differs = []
    if (data.task, data.class_names) != (champion.task, champion.class_names):
        differs.append(f"{data.task} of {', '.join(data.class_names)}")
    if data.name != champion.name:
        differs.append(f"data {data.name}")
    if data.synthetic and not champion.synthetic:
        differs.append("SYNTHETIC images, the champion's are real")
    same = "the same data" if data.digest == champion.digest else f"another version of it, {data.digest}"
    return GateResult.of("data", required, "; ".join(differs) or same, passed=not differs)


def _audit(facts: Facts, leakage: tuple[str, ...]) -> GateResult:
    audit = facts.audit
    accepted = {kind: count for kind, count in audit.accepted.items() if kind in leakage}
    if not audit.state:
        found = "the data were not audited (data.audit=off)"
    elif accepted:
        found = "accepted: " + ", ".join(f"{kind} {count}" for kind, count in accepted.items())
    elif audit.refused:
        found = f"{audit.refused} refused, and trained on all the same (data.audit=warn)"
    else:
        found = audit.state
    passed = bool(audit.state) and not accepted and not audit.refused
    return GateResult.of("audit", "audited, no leakage accepted", found, passed=passed)


def _floors(facts: Facts, rule: FloorRule) -> Iterator[GateResult]:
    for metric, limit in rule.metrics.items():
        small = metric.partition("/")[0] in ERRORS
        what = "the whole interval" if rule.by == "interval" else "the value"
        required = f"{metric} {'<=' if small else '>='} {limit:g}, {what}"
        estimate = facts.metrics.get(metric)
        if estimate is None:
            there = ", ".join(sorted(name for name in facts.metrics if "/" not in name))
            found = f"not measured; there is: {there}" if facts.metrics else "not measured"
            yield GateResult.of("floors", required, found, passed=False)
            continue
        if rule.by == "interval" and not facts.intervals:
            why = f"{estimate.value:.3f}, without an interval (evaluation.resamples=0)"
            yield GateResult.of("floors", required, why, passed=False)
            continue
        value = estimate.value if rule.by == "value" else estimate.high if small else estimate.low
        yield GateResult.of("floors", required, _text(estimate), passed=value <= limit if small else value >= limit)


def _subgroup(facts: Facts, rule: SubgroupRule) -> GateResult:
    worst = facts.worst
    if facts.unasked:  # who leaves a column out might leave out the worst
        why = f"not looked at: {', '.join(facts.unasked)}. Evaluate it with evaluation.subgroups=all"
        return GateResult.of("subgroup", f">= {rule.floor:g} in the worst", why, passed=False)
    if worst is None:
        why = "not evaluated" if facts.evidence_problem else facts.unjudged or "the data have no subgroups"
        passed = not (rule.required or facts.evidence_problem)
        return GateResult.of("subgroup", f">= {rule.floor:g} in the worst", why, passed=passed)
    small = worst.metric in ERRORS
    required = f"{worst.metric} {'<=' if small else '>='} {rule.floor:g} in the worst subgroup"
    value = worst.estimate.value
    found = f"{_text(worst.estimate)} in {worst.name}, {worst.images:,} images"
    return GateResult.of("subgroup", required, found, passed=value <= rule.floor if small else value >= rule.floor)


def _calibration(facts: Facts, rule: CalibrationRule) -> GateResult:
    low, high = rule.slope
    required = f"ECE <= {rule.ece:g}, slope {low:g} to {high:g}"
    if facts.ece is None or facts.slope is None:
        return GateResult.of("calibration", required, "not measured", passed=False)
    found = f"ECE {_text(facts.ece)}, slope {_text(facts.slope)}"
    passed = facts.ece.value <= rule.ece and low <= facts.slope.value <= high
    return GateResult.of("calibration", required, found, passed=passed)


def _latency(facts: Facts, limit: float) -> GateResult:
    required = f"one image in {limit:g} ms"
    chosen = next((engine for engine in facts.engines if engine.chosen), None)
    if chosen is None or chosen.milliseconds is None:
        return GateResult.of("latency", required, "not measured", passed=False)
    found = f"{chosen.milliseconds:.3g} ms by {chosen.kind}, where it was exported"
    return GateResult.of("latency", required, found, passed=chosen.milliseconds <= limit)


def _engines(engines: tuple[EngineFacts, ...], rule: EngineRule) -> GateResult:
    asked = ["the one that is served", *rule.required]
    required = f"{', '.join(asked)} agree with Keras, at most {rule.flips} decisions flip"
    kinds = {engine.kind: engine for engine in engines}
    wrong = [f"{kind}: not exported" for kind in rule.required if kind not in kinds]
    if not any(engine.chosen for engine in engines):
        wrong.append("none can be served")
    for engine in engines:
        if not engine.chosen and engine.kind not in rule.required:
            continue
        if not engine.agrees:
            wrong.append(f"{engine.kind}: {engine.why_not or 'differs'}")
        elif engine.flips is not None and engine.flips > rule.flips:
            wrong.append(f"{engine.kind}: {engine.flips} decisions flip")
    return GateResult.of("engines", required, "; ".join(wrong) or _agreeing(engines), passed=not wrong)


def _agreeing(engines: tuple[EngineFacts, ...]) -> str:
    texts = []
    for engine in engines:
        if engine.agrees:
            apart = "" if engine.difference is None else f" within {engine.difference:.1g}"
            texts.append(f"{engine.kind}{apart}{' (served)' if engine.chosen else ''}")
    return ", ".join(texts)


def _text(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
