from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medexp.registry.gates.facts import AuditFacts, DataFacts, EngineFacts, Facts, Paired, WorstSubgroup
from medexp.registry.gates.images_needed import images_needed
from medexp.registry.gates.judge import judge
from medexp.registry.gates.result import GATES, GateResult
from medexp.registry.gates.rules import CalibrationRule, ChampionRule, EngineRule, FloorRule, Rules, SubgroupRule
from medexp.types import Estimate

DATA = DataFacts("chest", "aaaa", False, "binary", ("normal", "pneumonia"))
PAIRED = Paired(
    metric="auc",
    candidate=0.91,
    champion=0.90,
    advantage=Estimate(0.01, 0.001, 0.02),
    confidence=0.95,
    p_value=0.03,
    superior=True,
    images_needed=400,
    p_better=0.98,
    images=500,
    units=500,
)
GOOD = Facts(
    data=DATA,
    champion_data=DATA,
    bundle_problem=None,
    evidence_problem=None,
    metrics={"auc": Estimate(0.91, 0.88, 0.94), "log_loss": Estimate(0.3, 0.25, 0.35)},
    intervals=True,
    ece=Estimate(0.05, 0.02, 0.12),
    slope=Estimate(0.9, 0.7, 1.1),
    worst=WorstSubgroup("sex=f", "auc", 40, Estimate(0.8, 0.6, 0.9)),
    engines=(
        EngineFacts("openvino", True, None, 1e-6, 0, 4.0, chosen=True),
        EngineFacts("litert", True, None, 1e-7, 0, 9.0),
        EngineFacts("onnx", False, "two inputs are left"),
    ),
    audit=AuditFacts("clean"),
    paired=PAIRED,
    paired_problem=None,
)
RULES = Rules(
    floors=FloorRule({"auc": 0.85}, "interval"),
    champion=ChampionRule("superiority", "non_inferiority", "auc", 0.02, 0.8),
    subgroup=SubgroupRule(0.7, required=False),
    calibration=CalibrationRule(0.1, (0.5, 2.0)),
    latency_ms=100,
    leakage=("duplicates_across_splits", "group_in_two_splits"),
    engines=EngineRule((), 0),
    same_data=True,
)


def found(facts: Facts, gate: str, rules: Rules = RULES, **options: Any) -> GateResult:
    (result,) = [r for r in judge(facts, rules, **{"alias": "champion", **options}) if r.gate == gate]
    return result


def test_a_good_candidate_passes_every_gate_in_their_order() -> None:
    results = judge(GOOD, RULES, alias="champion")
    assert tuple(result.gate for result in results) == GATES
    assert {result.verdict for result in results} == {"passed"}


@pytest.mark.parametrize(
    ("gate", "change", "text"),
    [
        ("bundle", {"bundle_problem": "model.tflite was changed"}, "model.tflite was changed"),
        ("evaluation", {"evidence_problem": "Evaluate it: python ..."}, "Evaluate it: python"),
        ("data", {"data": replace(DATA, name="phantom")}, "data phantom"),
        ("data", {"data": replace(DATA, synthetic=True)}, "SYNTHETIC"),
        ("data", {"data": replace(DATA, class_names=("normal", "fracture"))}, "binary of normal, fracture"),
        ("audit", {"audit": AuditFacts("")}, "not audited"),
        ("audit", {"audit": AuditFacts("accepted", {"group_in_two_splits": 3})}, "group_in_two_splits 3"),
        ("audit", {"audit": AuditFacts("refused", refused=2)}, "2 refused"),
        ("floors", {"metrics": {"auc": Estimate(0.91, 0.84, 0.94)}}, r"0.910 \(0.840 to 0.940\)"),
        ("floors", {"metrics": {"accuracy": Estimate(1, 1, 1)}}, "not measured; there is: accuracy"),
        ("floors", {"metrics": {"auc": Estimate(float("nan"), float("nan"), float("nan"))}}, "nan"),
        ("champion", {"paired": None, "paired_problem": "no predictions"}, "no predictions"),
        ("champion", {"paired": replace(PAIRED, superior=False)}, "501 images would show it"),
        ("subgroup", {"worst": WorstSubgroup("sex=f", "auc", 40, Estimate(0.69, 0.5, 0.9))}, "in sex=f, 40 images"),
        ("calibration", {"ece": Estimate(0.11, 0.05, 0.2)}, "ECE 0.110"),
        ("calibration", {"slope": Estimate(0.4, 0.3, 0.6)}, "slope 0.400"),
        ("calibration", {"ece": None}, "not measured"),
        ("latency", {"engines": (EngineFacts("litert", True, None, 0, 0, 101, chosen=True),)}, "101 ms by litert"),
        ("latency", {"engines": ()}, "not measured"),
        ("engines", {"engines": ()}, "none can be served"),
        ("engines", {"engines": (EngineFacts("litert", False, "differs", chosen=True),)}, "litert: differs"),
        ("engines", {"engines": (EngineFacts("litert", True, flips=1, chosen=True),)}, "litert: 1 decisions flip"),
    ],
)
def test_each_gate_refuses_and_says_what_was_found(gate: str, change: dict[str, Any], text: str) -> None:
    import re

    result = found(replace(GOOD, **change), gate)
    assert result.verdict == "failed"
    assert re.search(text, result.found), result.found


def test_a_floor_must_be_reached_by_the_worse_end_of_the_interval_unless_the_value_is_asked_for() -> None:
    facts = replace(GOOD, metrics={"auc": Estimate(0.9, 0.8, 0.95)})
    assert found(facts, "floors").verdict == "failed"
    assert found(facts, "floors", replace(RULES, floors=FloorRule({"auc": 0.85}, "value"))).verdict == "passed"


def test_of_a_loss_the_floor_is_the_most_that_its_upper_end_may_be() -> None:
    for limit, verdict in ((0.34, "failed"), (0.36, "passed")):
        rules = replace(RULES, floors=FloorRule({"log_loss": limit}, "interval"))
        assert found(GOOD, "floors", rules).verdict == verdict


def test_other_findings_than_leaks_may_have_been_accepted() -> None:
    facts = replace(GOOD, audit=AuditFacts("accepted", {"class_missing": 1}))
    assert found(facts, "audit").verdict == "passed"


def test_a_challenger_need_not_be_better_but_must_not_be_worse_beyond_the_margin() -> None:
    close = replace(PAIRED, superior=False, advantage=Estimate(-0.004, -0.015, 0.007))
    facts = replace(GOOD, paired=close)
    assert found(facts, "champion").verdict == "failed"
    assert found(facts, "champion", alias="challenger").verdict == "passed"
    far = replace(close, advantage=Estimate(-0.004, -0.021, 0.013))
    result = found(replace(GOOD, paired=far), "champion", alias="challenger")
    assert result.verdict == "failed"
    assert "images would show it (80% power)" in result.found


def test_the_images_that_non_inferiority_needs_are_those_of_a_test_of_a_mean_difference() -> None:
    # se = 0.05 / 1.959964 = 0.025511 of 200 images; 2.801585 * se / (0 + 0.05) = 1.429428; squared times 200 = 408.7
    seen = replace(PAIRED, advantage=Estimate(0.0, -0.05, 0.05), images=200)
    assert images_needed(seen, margin=0.05, power=0.8) == 409
    assert images_needed(replace(seen, advantage=Estimate(-0.06, -0.1, -0.02)), margin=0.05, power=0.8) is None


def test_a_worse_candidate_is_told_that_no_number_of_images_would_help() -> None:
    worse = replace(PAIRED, superior=False, advantage=Estimate(-0.01, -0.03, 0.01))
    assert "no number of images" in found(replace(GOOD, paired=worse), "champion").found


def test_a_first_champion_has_nobody_to_beat() -> None:
    facts = replace(GOOD, champion_data=None, paired=None)
    assert found(facts, "champion").found == "no champion yet"
    assert {result.verdict for result in judge(facts, RULES, alias="champion")} == {"passed"}


def test_data_without_subgroups_pass_unless_they_are_required() -> None:
    facts = replace(GOOD, worst=None)
    assert found(facts, "subgroup").verdict == "passed"
    assert found(facts, "subgroup", replace(RULES, subgroup=SubgroupRule(0.7, required=True))).verdict == "failed"


def test_a_floor_of_intervals_is_not_reached_by_numbers_that_have_none() -> None:
    bare = replace(GOOD, intervals=False, metrics={"auc": Estimate(0.91, 0.91, 0.91)})
    result = found(bare, "floors")
    assert (result.verdict, "without an interval (evaluation.resamples=0)" in result.found) == ("failed", True)
    assert found(bare, "floors", replace(RULES, floors=FloorRule({"auc": 0.85}, "value"))).verdict == "passed"


def test_subgroups_that_nobody_looked_at_do_not_pass_and_those_that_cannot_be_judged_say_why() -> None:
    small = replace(GOOD, worst=None, unjudged="none to judge: sex=f has 3 images, fewer than 20")
    assert (found(small, "subgroup").verdict, found(small, "subgroup").found) == ("passed", small.unjudged)
    for facts in (replace(GOOD, worst=None, unasked=("sex", "site")), replace(GOOD, unasked=("sex", "site"))):
        result = found(facts, "subgroup")
        assert result.verdict == "failed"
        assert result.found == "not looked at: sex, site. Evaluate it with evaluation.subgroups=all"
    missing = replace(GOOD, worst=None, evidence_problem="there is none")
    assert (found(missing, "subgroup").verdict, found(missing, "subgroup").found) == ("failed", "not evaluated")


def test_an_engine_that_is_not_served_may_differ_unless_it_is_required() -> None:
    assert found(GOOD, "engines").found == "openvino within 1e-06 (served), litert within 1e-07"
    rules = replace(RULES, engines=EngineRule(("onnx", "saved_model"), 0))
    assert found(GOOD, "engines", rules).found == "saved_model: not exported; onnx: two inputs are left"


def test_a_waived_gate_is_marked_and_a_broken_bundle_never_is() -> None:
    facts = replace(GOOD, bundle_problem="broken", audit=AuditFacts(""))
    verdicts = {r.gate: r.verdict for r in judge(facts, RULES, alias="champion", waive=["bundle", "audit", "latency"])}
    assert (verdicts["bundle"], verdicts["audit"], verdicts["latency"]) == ("failed", "waived", "passed")


def test_a_gate_that_is_turned_off_is_not_judged() -> None:
    off = Rules(None, None, None, None, None, None, None, same_data=False)
    assert [result.gate for result in judge(GOOD, off, alias="champion")] == ["bundle", "evaluation"]


def test_an_image_that_the_champion_learnt_from_and_a_new_score_are_said() -> None:
    again = replace(PAIRED, rescored="it was tested on chest bbbb", left_out=12, units=90)
    text = found(replace(GOOD, paired=again), "champion").found
    assert "champion scored again (it was tested on chest bbbb)" in text
    assert "12 images left out that the champion has learnt from" in text
    assert "500 images of 90 patients" in text
