"""What `scripts/compare.py` is asked, from the command line to typed values."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir

from medexp.config.load import load_compare
from medexp.config.register import CONF, register
from medexp.config.run_argument import expand_compared
from medexp.config.schema_compare import CompareConfig
from medexp.errors import ConfigError


def loaded(*arguments: str) -> CompareConfig:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return load_compare(compose("compare", overrides=expand_compared(arguments)))


def test_ids_that_look_like_numbers_stay_text() -> None:
    assert loaded("runs=[12e456,012345, abcdef]").runs == ["12e456", "012345", "abcdef"]
    assert loaded("12e4").sweep == "12e4"
    assert loaded("sweep=012345").sweep == "012345"
    assert loaded("runs=[aaaaaa,bbbbbb]", "proof.reference=12e456").proof.reference == "12e456"
    assert loaded().runs is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("runs=[a,b]", "sweep=c"), "runs and sweep exclude each other"),
        (("runs=[a,b]", "metric=val_auc", "mode=max"), "Runs are compared by proof.metric=auc"),
        (("proof.metric=val_auc",), "variants are proven on the test split: val_auc becomes auc"),
        (("metric=test_auc", "mode=max"), "proof.metric=auc"),
        (("proof.margin=0",), "proof.margin"),
        (("proof.resamples=10",), "proof.resamples"),
        (("one", "two"), r"Runs: runs=\[one,two\]"),
    ],
)
def test_what_makes_no_sense_is_said(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        loaded(*arguments)


def test_the_split_may_be_named_with_the_metric() -> None:
    assert loaded("proof.metric=test_auc").proof.metric == "auc"
