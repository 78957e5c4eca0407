from __future__ import annotations

import io
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from bundles import INPUT, limits, noise, reseal, spec, with_thresholds
from PIL import Image

from medexp.errors import DataError, RegistryError
from medexp.registry.bundle import Bundle
from medexp.registry.passport import read_passport
from medexp.types import Task

ENGINES = ("litert", "openvino", "onnx")


def png(pixels: np.ndarray | None = None) -> bytes:
    chosen = noise(spec(), 1)[0] if pixels is None else pixels
    Image.fromarray(chosen.squeeze()).save(buffer := io.BytesIO(), "PNG")
    return buffer.getvalue()


def test_a_passport_comes_back_as_it_was_written(folder: Path) -> None:
    changed = replace(read_passport(folder), run_id="other", operating_point=with_thresholds({"nodule": 0.1 + 0.2}))
    reseal(folder, run_id="other", operating_point=with_thresholds({"nodule": 0.1 + 0.2}))
    assert repr(asdict(read_passport(folder))) == repr(asdict(changed))  # NaN is not equal to itself


def test_an_answer_has_the_probability_of_each_class(folder: Path) -> None:
    bundle = Bundle.open(folder)
    answer = bundle.classify(png())
    row = bundle.probabilities(noise(spec(), 1))[0]
    assert list(answer.probabilities) == ["clear", "nodule"]
    assert list(answer.probabilities.values()) == pytest.approx(row.tolist())


def test_the_operating_point_decides(folder: Path) -> None:
    probability = Bundle.open(folder).classify(png()).probabilities["nodule"]
    for threshold, label in ((probability, "nodule"), (probability + 1e-6, "clear")):
        reseal(folder, operating_point=with_thresholds({"nodule": threshold}))
        assert Bundle.open(folder).classify(png()).label == label


def test_without_a_threshold_the_most_probable_class_is_the_answer(folder: Path) -> None:
    reseal(folder, operating_point=with_thresholds({}))
    answer = Bundle.open(folder).classify(png())
    assert answer.label == max(answer.probabilities, key=answer.probabilities.__getitem__)


def test_each_finding_is_decided_by_its_own_threshold(findings: Path) -> None:
    found = Bundle.open(findings).classify(png()).probabilities
    reseal(findings, operating_point=with_thresholds({"a": found["a"], "b": found["b"] + 1e-6, "c": found["c"]}))
    answer = Bundle.open(findings).classify(png())
    assert (answer.labels, answer.label) == (("a", "c"), None)


def test_the_most_probable_grade_is_the_answer(exported: dict[Task, Path]) -> None:
    answer = Bundle.open(exported["ordinal"]).classify(png())
    assert answer.label == max(answer.probabilities, key=answer.probabilities.__getitem__)


@pytest.mark.parametrize(
    ("clear", "nodule", "possible", "undecided"),
    [
        (0.0, 0.0, ("clear", "nodule"), ("clear", "nodule")),
        (1.0, 0.0, ("nodule",), ()),
        (0.0, 1.0, ("clear",), ("clear", "nodule")),  # the threshold says nodule: they contradict each other
        (1.0, 1.0, (), ("nodule",)),
    ],
)
def test_an_answer_says_which_classes_cannot_be_ruled_out(
    clear: float, nodule: float, possible: tuple[str, ...], undecided: tuple[str, ...], folder: Path
) -> None:
    reseal(
        folder,
        operating_point=with_thresholds({"nodule": 0.0}),
        conformal=replace(limits(spec()), limits={"clear": clear, "nodule": nodule}),
    )
    answer = Bundle.open(folder).classify(png())
    assert (answer.label, answer.possible, answer.undecided) == ("nodule", possible, undecided)
    assert answer.refused == bool(undecided)


def test_a_finding_may_be_neither_confirmed_nor_ruled_out(findings: Path) -> None:
    present, absent = {"a": 0.0, "b": 0.0, "c": 1.0}, {"a": 0.0, "b": 1.0, "c": 0.0}
    reseal(findings, conformal=replace(limits(spec("multilabel")), limits=present, absent_limits=absent))
    answer = Bundle.open(findings).classify(png())
    assert (answer.possible, answer.undecided) == (("a", "b"), ("a",))


def test_an_image_unlike_those_it_has_learnt_from_is_refused(folder: Path) -> None:
    bundle = Bundle.open(folder)
    usual, strange = bundle.classify(png()), bundle.classify(png(np.full(INPUT.shape, 255, np.uint8)))
    assert (usual.strange, strange.strange) == (False, True)
    assert usual.strangeness <= bundle.passport.strangeness.threshold < strange.strangeness
    assert strange.refused


def test_the_activation_map_is_there_on_demand(folder: Path) -> None:
    bundle = Bundle.open(folder)
    assert bundle.classify(png()).map is None
    found, outputs = bundle.classify(png(), explain=True).map, bundle.outputs(noise(spec(), 1))
    assert found is not None
    assert outputs.map is not None
    assert (found == outputs.map[0]).all()
    assert found.shape[-1] == 1


def test_an_image_of_another_size_is_prepared_as_in_training(folder: Path) -> None:
    assert Bundle.open(folder).read(png(np.full((9, 9), 50, np.uint8))).tolist() == np.full(INPUT.shape, 50).tolist()


def test_what_is_no_image_is_a_data_error_by_name(folder: Path) -> None:
    with pytest.raises(DataError, match=r"chest\.png"):
        Bundle.open(folder).classify(b"text", name="chest.png")


def test_the_limit_of_pixels_is_handed_on(folder: Path) -> None:
    with pytest.raises(DataError, match="too many pixels"):
        Bundle.open(folder).classify(png(), max_pixels=255)


@pytest.mark.parametrize("kind", ENGINES)
def test_the_chosen_engine_answers(kind: str, folder: Path) -> None:
    bundle = Bundle.open(folder, engine=kind)
    assert bundle.engine.kind == kind
    assert bundle.probabilities(noise(spec())) == pytest.approx(
        Bundle.open(folder).probabilities(noise(spec())), abs=1e-5
    )


def test_the_first_engine_of_the_passport_answers(folder: Path) -> None:
    for first in ENGINES:
        reseal(folder, engines=tuple(sorted(read_passport(folder).engines, key=lambda engine: engine.kind != first)))
        assert Bundle.open(folder).engine.kind == first


def test_where_a_runtime_is_missing_the_next_engine_answers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engines = sorted(
        read_passport(folder).engines, key=lambda engine: ("openvino", "onnx", "litert").index(engine.kind)
    )
    reseal(folder, engines=tuple(engines))
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert Bundle.open(folder).engine.kind == "onnx"
    with pytest.raises(RegistryError, match=r"engine=openvino.*not installed.*pip install openvino"):
        Bundle.open(folder, engine="openvino")


def test_an_engine_that_does_not_agree_never_answers(folder: Path) -> None:
    engines = [
        replace(one, agrees=one.kind == "onnx", why_not="features differ") for one in read_passport(folder).engines
    ]
    reseal(folder, engines=tuple(engines))
    assert Bundle.open(folder).engine.kind == "onnx"
    with pytest.raises(RegistryError, match="litert: features differ"):
        Bundle.open(folder, engine="litert")
