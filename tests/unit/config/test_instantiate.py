from __future__ import annotations

import functools

import pytest

from medexp.config.instantiate import instantiate
from medexp.errors import ConfigError, DataError


def test_an_object_is_built_from_its_node() -> None:
    built = instantiate("x", {"_target_": "medexp.types.Objective", "metric": "val_auc", "mode": "max"})
    assert (built.metric, built.mode) == ("val_auc", "max")


def test_a_partial_stays_open() -> None:
    built = instantiate("x", {"_target_": "medexp.types.Objective", "_partial_": True, "metric": "val_auc"})
    assert isinstance(built, functools.partial)
    assert built(mode="min").mode == "min"


def test_lists_and_mappings_arrive_as_plain_python() -> None:
    built = instantiate("x", {"_target_": "builtins.dict", "a": [1, {"b": 2}]})
    assert type(built["a"]) is list
    assert type(built["a"][1]) is dict


def test_extra_arguments_are_handed_on() -> None:
    built = instantiate("x", {"_target_": "medexp.types.Objective", "metric": "val_auc"}, mode="min")
    assert built.mode == "min"


def test_a_constructor_that_refuses_is_a_config_error_with_path_target_and_reason() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.delay: datetime\.timedelta refused.*unsupported.*'days': 'x'"):
        instantiate("trainer.delay", {"_target_": "datetime.timedelta", "days": "x"})


def test_a_missing_argument_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="missing 1 required positional argument: 'mode'"):
        instantiate("x", {"_target_": "medexp.types.Objective", "metric": "val_auc"})


def test_an_error_for_the_user_comes_through_as_it_is() -> None:
    node = {"_target_": "medexp.data.phantom.PhantomSource", "folder": "x", "patients": 1, "size": 64, "contrast": 1.0,
            "seed": 0}  # fmt: skip
    with pytest.raises(DataError, match=r"Received: data\.patients=1"):
        instantiate("data", node)
