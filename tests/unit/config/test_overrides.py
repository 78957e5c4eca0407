from __future__ import annotations

import pytest

from medexp.config.overrides import check_overrides
from medexp.config.register import CONF, register
from medexp.errors import ConfigError

POLICIES = "cutmix, light, medical, mixup, none, randaugment, strong"


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    register()


def problems(*arguments: str, name: str = "train") -> str:
    with pytest.raises(ConfigError) as caught:
        check_overrides(CONF, name, arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["model=efficientnet", "data.aug=strong"],
        ["optimizer.learning_rate=3e-4", "seed=1"],
        ["optimizer=sgd", "optimizer.momentum=0.8"],
        ["-m", "data.aug=none,light,strong", "seed=0,1"],
        ["-m", "model=glob(*)"],
        ["-m", "seed=range(3)", "optimizer.learning_rate=interval(1e-4,1e-2)"],
        ["+callbacks.stop._target_=keras.callbacks.TerminateOnNaN"],
        ["++trainer.max_epochs=1"],
        ["~callbacks.early_stopping"],
        ["callbacks.early_stopping.patience=2"],
        ["data=folder", "data.root=/x", "data.positive=sick"],
        ["hydra.job.chdir=false"],
        ["--help", "sed=1"],
        ["--cfg", "job", "sed=1"],
    ],
)
def test_what_hydra_accepts_is_let_through(arguments: list[str]) -> None:
    check_overrides(CONF, "train", arguments)


def test_every_unknown_key_and_option_is_listed() -> None:
    text = problems("sed=1", "modl=efficientnet", "data.aug=strnog", "optimizer.lr=0.1")
    assert text.startswith("The configuration has 4 problems:")
    for expected in (
        "sed: no such key. Did you mean seed?",
        "modl: no such key. Did you mean model?",
        f"data.aug: Unknown option. Received: 'strnog'. Available: {POLICIES}. Did you mean 'strong'?",
        "optimizer.lr: no such key.",
    ):
        assert expected in text


def test_no_policy_at_all_is_answered_with_those_there_are() -> None:
    assert f"data.aug: Unknown option. Received: None. Available: {POLICIES}." in problems("data.aug=null")


def test_a_key_of_another_option_is_unknown() -> None:
    assert "data.root: no such key" in problems("data.root=/x")


def test_a_key_without_its_parents_is_found() -> None:
    assert "max_epochs: no such key. Did you mean trainer.max_epochs?" in problems("max_epochs=3")


def test_a_key_that_is_like_no_other_is_answered_with_its_siblings() -> None:
    said = problems("runtime.qqqqqqqqqq=1")
    assert "There is: runtime.backend, runtime.deterministic, runtime.console_level." in said


@pytest.mark.parametrize("argument", ["sed=0,1", "model=simple_cnn,resnet"])
def test_a_sweep_over_what_does_not_exist_is_refused(argument: str) -> None:
    assert "The configuration has 1 problem:" in problems("-m", argument)


def test_only_the_wrong_options_of_a_sweep_are_listed() -> None:
    text = problems("-m", "data.aug=none,lihgt,stong")
    assert "Received: 'lihgt'" in text
    assert "Received: 'stong'" in text
    assert "Received: 'none'" not in text


def test_wrong_values_are_listed_beside_unknown_keys() -> None:
    text = problems("sed=1", "seed=-1", "data.batch_size=0")
    assert text.startswith("The configuration has 3 problems:")
    assert "seed: " in text
    assert "data.batch_size: " in text


def test_what_is_added_and_has_no_effect_is_listed_beside_unknown_keys() -> None:
    assert "extra: no such key, it would have no effect" in problems("sed=1", "+extra=1")


def test_the_promote_script_is_checked_against_its_own_keys() -> None:
    check_overrides(CONF, "promote", ["run=abc", "apply=true"])
    assert "aply: no such key. Did you mean apply?" in problems("aply=true", name="promote")
