from __future__ import annotations

import sys
from pathlib import Path

import pytest

from medexp.config.check import check_node
from medexp.config.signature import CallSignature, read_signature

MODULE = """
from __future__ import annotations
import functools
import logging as log
from dataclasses import dataclass
from pathlib import Path as P
from logging import FileHandler

def function(a, b=2, *, c: int, d: str | None = None): ...
def free(a, **others): ...
def nothing(): ...

class Own:
    def __init__(self, *, size: int, name: str = "x") -> None: ...

class Child(Own): ...
class Grandchild(Child): ...
class Imported(FileHandler): ...
class Aliased(log.FileHandler): ...
class Bare: ...

@dataclass
class Data:
    size: int
    name: str = "x"

partial = functools.partial(function, c=1)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A real module on the path, of a name that no other test uses."""
    name = f"targets_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def keys(signature: CallSignature) -> dict[str, bool]:
    """Each keyword, and whether it is required."""
    return {argument.name: argument.required for argument in signature.arguments.values()}


def test_keywords_annotations_and_defaults_of_a_function_are_read(module: str) -> None:
    signature = read_signature(f"{module}.function")
    assert keys(signature) == {"a": True, "b": False, "c": True, "d": False}
    assert (signature.arguments["c"].annotation, signature.arguments["d"].annotation) == ("int", "str | None")
    assert signature.arguments["b"].default == 2
    assert not signature.open


def test_a_target_that_takes_any_keyword_is_open(module: str) -> None:
    assert read_signature(f"{module}.free").open


@pytest.mark.parametrize("name", ["Own", "Child", "Grandchild"])
def test_a_class_takes_what_its_own_or_inherited_constructor_takes(name: str, module: str) -> None:
    assert keys(read_signature(f"{module}.{name}")) == {"size": True, "name": False}


def test_a_constructor_is_followed_into_another_module(module: str) -> None:
    assert keys(read_signature(f"{module}.Imported"))["filename"] is True


@pytest.mark.parametrize("name", ["Bare", "nothing"])
def test_a_target_without_arguments_takes_none(name: str, module: str) -> None:
    assert read_signature(f"{module}.{name}") == CallSignature({}, open=False)


def test_modules_are_parsed_not_imported(module: str) -> None:
    read_signature(f"{module}.Own")
    assert module not in sys.modules


def test_a_name_made_at_run_time_is_imported_after_all(module: str) -> None:
    assert "a" in read_signature(f"{module}.partial").arguments
    assert module in sys.modules


@pytest.mark.parametrize(("name", "key"), [("Data", "size"), ("Aliased", "filename")])
def test_a_constructor_that_the_source_does_not_show_is_found_too(name: str, key: str, module: str) -> None:
    assert key in read_signature(f"{module}.{name}").arguments


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("plain", "not a dotted path"),
        ("nowhere.thing", "there is no module 'nowhere'"),
        ("medexp.nowhere.thing", r"there is no module 'medexp\.nowhere'"),
        ("medexp.models.head.Head", r"module 'medexp\.models\.head' has no 'Head'"),
        ("keras.callbacks.EarlyStoping", r"module 'keras\.callbacks' has no 'EarlyStoping'"),
    ],
)
def test_a_target_that_does_not_exist_is_named(target: str, message: str) -> None:
    with pytest.raises(LookupError, match=message):
        read_signature(target)


def test_a_module_that_is_no_python_is_named_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_target.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LookupError, match=r"broken_target\.py line 1 is not valid Python"):
        read_signature("broken_target.f")


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("keras.optimizers.AdamW", "learning_rate"),
        ("keras.optimizers.SGD", "nesterov"),
        ("keras.callbacks.EarlyStopping", "patience"),
        ("keras.callbacks.ReduceLROnPlateau", "factor"),
        ("keras.losses.BinaryCrossentropy", "label_smoothing"),
    ],
)
def test_what_keras_re_exports_is_found(target: str, key: str) -> None:
    assert key in read_signature(target).arguments


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"c": 1, "a": 0}, []),
        ({"c": 1, "a": 0, "_partial_": True, "_convert_": "all"}, []),
        ({"c": 1}, ["node.a: {target} needs it. Override: node.a=..."]),
        ({"_partial_": True}, []),
        ({"a": 0, "c": "x"}, ["node.c: should be int. Received: 'x'."]),
        ({"a": 0, "c": True}, ["node.c: should be int. Received: True."]),
        ({"a": 0, "c": 1, "d": 7}, ["node.d: should be str | None. Received: 7."]),
        ({"a": 0, "c": 1, "b": "x"}, ["node.b: should be a number. Received: 'x'. Override: node.b=2"]),
        ({"a": 0, "c": 1, "e": 7}, ["node.e: {target} takes no such key. Received: 7. It takes: a, b, c, d."]),
        (
            {"a": {"_target_": "nowhere.x"}, "c": 1},
            ["node.a._target_: there is no module 'nowhere'. Received: nowhere.x."],
        ),
    ],
)
def test_a_node_is_checked_against_its_target(node: dict[str, object], expected: list[str], module: str) -> None:
    target = f"{module}.function"
    found = list(check_node("node", {"_target_": target, **node}))
    assert found == [text.replace("{target}", target) for text in expected]


def test_a_key_close_to_another_is_suggested(module: str) -> None:
    (problem,) = check_node("node", {"_target_": f"{module}.Own", "size": 1, "nam": "y"})
    assert problem.endswith("Did you mean node.name?")
