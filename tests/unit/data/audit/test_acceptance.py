from __future__ import annotations

import logging
import shlex
from typing import Any

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from medexp.data.audit.acceptance import accepted
from medexp.data.audit.enforce import enforce
from medexp.data.audit.findings import Acceptance, Finding, ImageRef, Instance
from medexp.data.audit.overrides import accept_override, accept_yaml
from medexp.data.audit.report import AuditReport
from medexp.errors import DataError

HEX = ("0123456789012345", "12e4567890123456", "00000000000000ab", "deadbeefdeadbeef")
ODD = ('say "a"', "it's", "back\\", 'both\\"', "${oc.env:HOME}", "a, b]", "Müller", " spaced ", "{x: 1}", "null", "1_0")


def found(*tokens: tuple[str, ...], kind: str = "duplicates_across_splits") -> Finding:
    refs = [
        tuple(ImageRef(token, f"{token}.png", "train", "ill", None, 0) for token in instance) for instance in tokens
    ]
    instances = tuple(Instance(kind, of, shown) for of, shown in zip(tokens, refs, strict=True))
    return Finding(kind, "refuse", f"{len(tokens)} things are the matter.", instances)


def report(*findings: Finding) -> AuditReport:
    return AuditReport("set", findings, (), {}, {}, 0.0)


def test_what_is_named_is_accepted_and_nothing_else() -> None:
    findings = accepted([found(("a", "b"), ("c", "d"))], [Acceptance("duplicates_across_splits", ("a~b", "c"), "r")])
    assert [instance.accepted for instance in findings[0].instances] == ["r", None]


def test_another_pair_of_accepted_images_is_refused() -> None:
    accept = [Acceptance("near_duplicates_across_splits", ("a~b", "c~d"), "r")]
    findings = [found(("b", "a"), ("c", "d"), ("a", "c"), ("b", "d"), kind="near_duplicates_across_splits")]
    assert [instance.accepted for instance in accepted(findings, accept)[0].instances] == ["r", "r", None, None]


def test_another_kind_is_not_accepted_by_the_same_items() -> None:
    findings = accepted([found(("a", "b"))], [Acceptance("conflicting_labels", ("a~b",), "r")])
    assert findings[0].instances[0].accepted is None


def test_one_more_copy_of_an_accepted_image_is_refused_again() -> None:
    accept = [Acceptance("duplicates_across_splits", ("a~a", "b~b~b"), "r")]
    assert accepted([found(("a", "a"))], accept)[0].instances[0].accepted == "r"
    assert accepted([found(("a", "a", "a"))], accept)[0].instances[0].accepted is None
    assert accepted([found(("b", "b"))], accept)[0].instances[0].accepted is None


def test_an_item_that_is_but_one_image_of_a_pair_is_stale() -> None:
    accept = [Acceptance("duplicates_across_splits", ("a~b", "a", "b"), "r")]
    (_, note) = accepted([found(("a", "b"))], accept)
    assert (note.kind, note.instances[0].tokens) == ("stale_acceptance", ("a", "b"))


def test_an_acceptance_of_nothing_known_or_nothing_left_is_noted() -> None:
    accept = [Acceptance("duplicates_acros_splits", ("a",), "r"), Acceptance("conflicting_labels", ("gone",), "why")]
    notes = accepted([], accept)
    assert [(note.kind, note.severity) for note in notes] == [
        ("unknown_acceptance", "note"),
        ("stale_acceptance", "note"),
    ]
    assert "Did you mean 'duplicates_across_splits'?" in notes[0].summary
    assert "gone" in notes[1].summary


@pytest.mark.parametrize(
    "instances",
    [
        (HEX,),
        (HEX[:2], HEX[2:], HEX[1:3], (HEX[0],) * 3),
        tuple((name,) for name in ODD[:6]),
        tuple((name,) for name in ODD[6:]),
        (ODD,),
    ],
)
def test_the_override_to_paste_is_read_by_shell_and_hydra_as_it_was_meant(
    instances: tuple[tuple[str, ...], ...],
) -> None:
    finding = found(*instances)
    text = accept_override(finding.instances)
    assert text is not None
    (argument,) = shlex.split(text)
    value = OverridesParser.create().parse_override(argument).value()
    (entry,) = OmegaConf.to_container(OmegaConf.create({"accept": value}), resolve=True)["accept"]
    assert entry["finding"] == "duplicates_across_splits"
    assert entry["items"] == sorted("~".join(sorted(tokens)) for tokens in instances)
    again = Acceptance(entry["finding"], tuple(entry["items"]), entry["reason"])
    assert all(again.covers(instance) for instance in finding.instances)


def test_the_yaml_accepts_exactly_what_was_refused() -> None:
    findings = [
        found(HEX[:2], HEX[2:]),
        found(("x", "x"), kind="conflicting_labels"),
        found(ODD, kind="group_in_two_splits"),
    ]
    config = OmegaConf.to_container(OmegaConf.create(accept_yaml(report(*findings).refused)), resolve=True)
    accept = [Acceptance(item["finding"], tuple(item["items"]), item["reason"]) for item in config["accept"]]
    assert report(*accepted(findings, accept)).refused == ()
    assert [len(a.items) for a in accept] == [1, 2, 1]


def test_yaml_of_nothing_accepts_nothing() -> None:
    assert OmegaConf.create(accept_yaml(())).accept == []


def test_too_many_to_paste_are_left_to_the_file() -> None:
    many = found(*((f"{i:016x}", f"{i + 500:016x}") for i in range(300)))
    assert accept_override(many.instances) is None
    with pytest.raises(DataError) as error:
        enforce(report(many), mode="strict", where="there/audit.html")
    text = str(error.value)
    assert "accept.yaml, beside that page, lists 300 items" in text
    assert "and 297 more" in text
    assert len(text) < 3000


def test_strict_names_the_files_what_mends_it_and_what_accepts_it() -> None:
    with pytest.raises(DataError) as error:
        enforce(report(found(("aa", "bb"))), mode="strict", where="there/audit.html")
    text = str(error.value)
    for part in (
        "Received: 1 refused", "aa.png (train, ill) = bb.png", "data.group_column=", "See there/audit.html",
        "data.audit=warn", """'data.accept=[{finding:duplicates_across_splits,items:["aa~bb"]""",
    ):  # fmt: skip
        assert part in text


MISSING = Finding(
    "class_missing", "refuse", "Missing: val has no ill.", (Instance("class_missing", ("val/ill",), text="no ill"),)
)


def test_a_missing_class_is_not_offered_for_acceptance_as_no_training_could_go_on() -> None:
    with pytest.raises(DataError) as error:
        enforce(report(MISSING), mode="strict", where="there")
    text = str(error.value)
    assert "cannot be accepted, only mended" in text
    assert "data.split.seed" in text
    assert "data.accept" not in text
    assert "data.audit=warn" not in text
    assert "accept.yaml" not in text
    assert accept_override((*MISSING.instances,)) is None
    assert OmegaConf.create(accept_yaml(MISSING.instances)).accept == []
    assert "only be mended" in accept_yaml(MISSING.instances)


def test_beside_a_missing_class_the_rest_can_be_accepted() -> None:
    with pytest.raises(DataError) as error:
        enforce(report(MISSING, found(("aa", "bb"))), mode="strict", where="there")
    text = str(error.value)
    assert """Accept exactly the rest: 'data.accept=[{finding:duplicates_across_splits,items:["aa~bb"]""" in text
    assert "class_missing" not in text
    assert "data.audit=warn" not in text


def test_an_acceptance_of_a_missing_class_accepts_nothing_and_says_so() -> None:
    findings = accepted([MISSING], [Acceptance("class_missing", ("val/ill",), "r")])
    assert findings[0].instances[0].accepted is None
    assert [note.kind for note in findings[1:]] == ["unknown_acceptance"]
    assert "cannot be accepted, only mended: val/ill" in findings[1].summary


def test_warn_says_the_same_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        enforce(report(found(("aa", "bb"))), mode="warn", where="there/audit.html")
    assert "aa.png (train, ill) = bb.png" in caplog.text


def test_off_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    enforce(report(found(("aa", "bb"))), mode="off", where="there")
    assert caplog.text == ""


def test_what_is_accepted_passes_and_its_reason_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    findings = accepted([found(("aa", "bb"))], [Acceptance("duplicates_across_splits", ("aa~bb",), "known since 2023")])
    with caplog.at_level(logging.INFO):
        enforce(report(*findings), mode="strict", where="there")
    assert "known since 2023" in caplog.text


def test_json_has_every_instance_and_no_number_that_json_lacks(scans: np.ndarray, make: Any, audited: Any) -> None:
    import json

    values = audited(make([*scans, scans[0]], np.arange(61) % 2, ["train"] * 60 + ["val"]), probe=True).to_json()
    again = json.loads(json.dumps(values, allow_nan=False))
    (finding,) = [item for item in again["findings"] if item["kind"] == "duplicates_across_splits"]
    assert [image["key"] for image in finding["instances"][0]["images"]] == ["00000", "00060"]
    assert finding["instances"][0]["id"] == "~".join(2 * [finding["instances"][0]["images"][0]["token"]])
    assert again["refused"] == len([i for f in again["findings"] if f["severity"] == "refuse" for i in f["instances"]])
