from __future__ import annotations

import copy
import functools
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf

from medexp.config.load import load, load_audit, load_promote
from medexp.config.register import CONF, ROOT, register
from medexp.config.schema import TrainConfig
from medexp.errors import ConfigError


@pytest.fixture(scope="module", autouse=True)
def _hydra() -> Iterator[None]:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@functools.cache
def _composed(*overrides: str) -> DictConfig:
    return compose("train", overrides=list(overrides))


def composed(*overrides: str) -> DictConfig:
    """A configuration of its own, to change at will."""
    return copy.deepcopy(_composed(*overrides))


def loaded(*overrides: str) -> TrainConfig:
    return load(composed(*overrides))


def problems(cfg: DictConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        load(cfg)
    return str(caught.value)


def test_the_default_configuration_is_typed_plain_python() -> None:
    config = loaded()
    assert (config.seed, config.data.input.height, config.model["filters"]) == (0, 64, [32, 64, 128])
    assert type(config.model["filters"]) is list


def test_the_keys_of_a_data_source_are_gathered() -> None:
    source = loaded("data=folder", "data.root=/x").data.source
    assert source == {"_target_": "medexp.data.folder.FolderSource", "root": "/x", "group_regex": None}


def test_paths_are_absolute() -> None:
    paths = loaded().paths
    assert (paths.root, paths.outputs) == (ROOT, ROOT / "outputs")


def test_a_loaded_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        loaded().seed = 1


@pytest.mark.parametrize("name", ["none", "light", "strong"])
def test_the_augmentation_policy_is_chosen_as_data_aug(name: str) -> None:
    config = loaded(f"data.aug={name}")
    assert (config.data.aug, config.augmentation["name"]) == (name, name)


def test_a_policy_is_patched_as_augmentation() -> None:
    config = loaded("data.aug=strong", "augmentation.rotation=0.2")
    assert (config.data.aug, config.augmentation["rotation"]) == ("strong", 0.2)


def test_choosing_the_policy_in_its_own_group_keeps_the_label() -> None:
    config = loaded("augmentation=strong")
    assert config.data.aug == config.augmentation["name"] == "strong"


def test_an_unknown_policy_is_refused_with_the_options() -> None:
    with pytest.raises(MissingConfigException, match=r"light\n\s*medical\n\s*mixup\n\s*none"):
        composed("data.aug=strnog")


def test_the_name_of_a_run_tells_its_variant() -> None:
    assert loaded("model=efficientnet", "data.aug=none").name == "efficientnet-phantom-none"


def test_all_problems_are_reported_at_once_and_counted() -> None:
    text = problems(
        composed(
            "seed=-1",
            "data.batch_size=0",
            "+model.filtres=[8]",
            "optimizer._target_=keras.optimizers.AdamX",
            "trainer.precision=float23",
            "callbacks.early_stopping.patience=many",
            "+extra=1",
        )
    )
    assert text.startswith("The configuration has 7 problems:\n  1. ")
    for expected in (
        "seed: ",
        "data.batch_size: ",
        "extra: no such key, it would have no effect. Received: 1",
        "Did you mean model.filters?",
        "optimizer._target_: module 'keras.optimizers' has no 'AdamX'",
        "trainer.precision: should be Literal['float32', 'float16', 'bfloat16', 'mixed_float16', 'mixed_bfloat16']. "
        "Received: 'float23'",
        "callbacks.early_stopping.patience: should be a number. Received: 'many'",
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("seed", 1.5, "seed: "),
        ("seed", 2**32, "seed: "),
        ("seed", True, "seed: "),
        ("objective.mode", "maximum", "objective.mode: "),
        ("runtime.backend", "theano", "runtime.backend: "),
        ("data.input.channels", 2, "data.input.channels: "),
        ("data.input.width", 0, "data.input.width: "),
        ("data.input.fit", "zoom", "data.input.fit: "),
        ("data.input.intensity", "window", "needs its numbers. Override: data.input.window="),
        ("data.input.intensity", "percentiles", "needs its numbers. Override: data.input.percentiles="),
        ("data.input.window", [40, 400], "window has no effect. Override: data.input.intensity=window"),
        ("data.input.percentiles", [1, 99], "percentiles has no effect. Override: data.input.intensity=percentiles"),
        ("data.input.window", [40], "data.input.window: "),
        ("data.input.bits", 12, "data.input.bits: "),
        ("data.input.frame", -1, "data.input.frame: "),
        ("data.task", "regression", "data.task: "),
        ("data.classes", ["one"], "data.classes: "),
        ("data.fold", 5, "folds go from 0 to data.split.folds - 1. Received: data.fold=5 of 5"),
        ("data.split.folds", 1, "data.split.folds: "),
        ("data.split.repeat", 2, "data.split.repeat has no effect without a fold"),
        ("data.audit", "lax", "data.audit: "),
        ("data.accept", [{"finding": "x", "items": []}], "data.accept.0."),
        ("data.invariances.laterality", "fixed", "data.invariances.laterality: "),
        ("data.cache.max_gb", -1, "data.cache.max_gb: "),
        ("data.split.val", 1.0, "data.split.val: "),
        ("data.split.val", 0.85, "val + test must leave images to train on, they add up to 1"),
        ("data.rooot", "x", "data.rooot: medexp.data.phantom.PhantomSource takes no such key"),
        ("data.patients", "many", "data.patients: should be int. Received: 'many'"),
        ("trainer.max_epochs", 2.5, "trainer.max_epochs: should be int. Received: 2.5"),
        ("model._target_", "nowhere.net", "model._target_: there is no module 'nowhere'"),
        ("model._target_", "medexp.models.simple_cnn.simple_cnm", "has no 'simple_cnm'"),
        ("model._target_", "simple_cnn", "is not a dotted path"),
        ("model._target_", None, "model: needs a _target_"),
        ("callbacks.mine", {"a": 1}, "callbacks.mine: needs a _target_"),
        ("sweep.other", 1, "sweep.other: no such key"),
        ("tracking.uri", "${nowhere}", "nowhere"),
        ("optimizer.weight_decay", "lots", "optimizer.weight_decay: "),
        ("optimizer.amsgrad", "perhaps", "optimizer.amsgrad: should be true or false"),
    ],
)
def test_a_wrong_value_is_named_by_its_key(key: str, value: object, expected: str) -> None:
    cfg = composed()
    OmegaConf.update(cfg, key, value, force_add=True)
    text = problems(cfg)
    assert expected in text
    assert text.count("\n  ") == (2 if key == "data.accept" else 1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"intensity": "window", "window": [40, 0]}, "a window is wider than 0"),
        ({"intensity": "percentiles", "percentiles": [99, 1]}, "percentiles go up"),
        ({"intensity": "percentiles", "percentiles": [0, 101]}, "percentiles go up"),
    ],
)
def test_an_intensity_that_makes_no_sense_is_refused(changes: dict[str, object], expected: str) -> None:
    cfg = composed()
    OmegaConf.update(cfg, "data.input", changes)
    assert expected in problems(cfg)


def test_a_split_file_leaves_no_room_for_folds() -> None:
    cfg = composed()
    OmegaConf.update(cfg, "data", {"fold": 0, "split_file": "split.csv"})
    assert "data.split_file says who is in which split" in problems(cfg)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data=folder", "data.root: has no value yet. Override: data.root=..."),
        ("data=manifest", "data.manifest: has no value yet. Override: data.manifest=..."),
        ("~trainer.max_epochs", "trainer.max_epochs: medexp.training.trainer.Trainer needs it"),
        ("~optimizer", "optimizer: has no value"),
    ],
)
def test_what_is_missing_is_named_by_its_key(override: str, expected: str) -> None:
    text = problems(composed(override))
    assert text.startswith("The configuration has 1 problem:\n")
    assert expected in text


def test_a_label_that_is_not_the_policy_is_refused() -> None:
    cfg = composed()
    OmegaConf.update(cfg, "data.aug", "strong")
    text = problems(cfg)
    assert "data.aug: says 'strong', but the policy composed is 'light'" in text
    assert "- override /data.aug: strong" in text


@pytest.mark.parametrize("override", ["callbacks.early_stopping=null", "callbacks=none"])
def test_a_callback_is_switched_off(override: str) -> None:
    assert loaded(override).callbacks == {"early_stopping": None}


def test_a_callback_of_keras_is_added() -> None:
    added = "+callbacks.stop={_target_: keras.callbacks.TerminateOnNaN}"
    assert set(loaded(added).callbacks) == {"early_stopping", "stop"}


LOADS_ALL = """
import sys
from hydra import compose, initialize_config_dir
from medexp.config.load import load
from medexp.config.register import CONF, register

register()
with initialize_config_dir(str(CONF), version_base="1.3"):
    for group in ("model", "optimizer", "schedule", "callbacks", "logger", "augmentation"):
        for file in (CONF / group).glob("*.yaml"):
            load(compose("train", overrides=[f"{group}={file.stem}"]))
print(sorted({"keras", "tensorflow", "mlflow", "torch"} & set(sys.modules)))
"""


def test_loading_every_option_imports_no_framework() -> None:
    done = subprocess.run([sys.executable, "-c", LOADS_ALL], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_the_promote_configuration_is_typed() -> None:
    config = load_promote(compose("promote", overrides=["apply=true", "run=abc"]))
    assert (config.apply, config.run, config.model_name) == (True, "abc", "medexp")


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["apply=yes_please"], "apply: "),
        (["+aply=true"], "aply: no such key"),
        (["run=a", "sweep=b"], "run and sweep exclude each other"),
        (["objective.mode=best"], "objective.mode: "),
        (["waive=[champion]"], "a waived gate needs a reason"),
        (["reason=because"], "reason has no effect where no gate is waived"),
        (["waive=[bundle]", "reason=because"], "a bundle that cannot be verified is never promoted"),
        (["waive=[luck]", "reason=because"], "waive.0: input should be 'evaluation', 'data', 'audit'"),
        (["rollback=true", "run=abcdef"], "Remove run"),
        (["rollback=true", "as=challenger"], "Remove as"),
        (["as=previous"], "as: input should be 'champion' or 'challenger'"),
        (["gates.champion.rule=luck"], "gates.champion.rule: "),
    ],
)
def test_a_wrong_promote_configuration_is_refused(overrides: list[str], expected: str) -> None:
    with pytest.raises(ConfigError, match="has 1 problem") as caught:
        load_promote(compose("promote", overrides=overrides))
    assert expected in str(caught.value)


def test_the_audit_shares_the_data_of_a_training_and_nothing_else() -> None:
    config = load_audit(compose("audit", overrides=["data=pneumoniamnist", "audit.canary=true"]))
    training = loaded("data=pneumoniamnist")
    assert config.data.model_dump() == {k: v for k, v in training.data.model_dump().items() if k != "aug"}
    assert (config.audit.canary, training.audit.canary) == (True, False)
    with pytest.raises(ConfigError, match="model: no such key"):
        load_audit(compose("audit", overrides=["+model=simple_cnn"]))
