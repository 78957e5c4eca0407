"""Every file of conf/ composes, and says what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from medexp.config.flatten import flatten
from medexp.config.instantiate import instantiate
from medexp.config.load import load, load_promote
from medexp.config.register import CONF, register

COUNTS = {
    "": 8,
    "augmentation": 7,
    "base": 3,
    "callbacks": 2,
    "card": 1,
    "data": 16,
    "debug": 1,
    "evaluation": 2,
    "experiment": 2,
    "finetuning": 3,
    "hydra": 1,
    "logger": 2,
    "loss": 2,
    "model": 12,
    "optimizer": 3,
    "paths": 1,
    "schedule": 4,
    "search": 3,
    "trainer": 1,
}
NEEDS = {
    "data=dicom": ["data.root=/images", "data.labels=/images/labels.csv"],
    "data=folder": ["data.root=/images"],
    "data=manifest": ["data.manifest=/images/manifest.csv"],
}
OPTIONS = sorted(path for path in CONF.glob("*/*.yaml") if path.parent.name != "base")  # base: parts of others
FILES = sorted(CONF.rglob("*.yaml"))


def named(path: Path) -> str:
    return str(path.relative_to(CONF))


@pytest.fixture(scope="module", autouse=True)
def _hydra() -> Iterator[None]:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def test_every_file_is_counted() -> None:
    found: dict[str, int] = {}
    for path in FILES:
        group = path.parent.relative_to(CONF).as_posix().removeprefix(".")
        found[group] = found.get(group, 0) + 1
    assert found == COUNTS, "a file came or went: change COUNTS, and NEEDS where it has a key without a value"


@pytest.mark.parametrize("path", OPTIONS, ids=named)
def test_an_option_composes_and_loads_without_problems(path: Path) -> None:
    override = f"{path.parent.name}={path.stem}"
    config = load(compose("train", overrides=[override, *NEEDS.get(override, [])]))
    assert config.name


@pytest.mark.parametrize(
    "path", [path for path in OPTIONS if path.parent.name not in {"experiment", "debug", "hydra", "search"}], ids=named
)
def test_what_an_option_says_is_what_is_composed(path: Path) -> None:
    group = path.parent.name
    override = f"{group}={path.stem}"
    composed = flatten(load(compose("train", overrides=[override, *NEEDS.get(override, [])])))
    said = OmegaConf.to_container(OmegaConf.load(path))
    anywhere = "# @package _global_" in path.read_text()  # a part that brings parts of others along
    for key, value in leaves(said, "" if anywhere else f"{group}."):
        if "$" not in str(value) and value != "???":
            assert composed[key] == value


def leaves(node: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """The dotted keys of a file, with their values."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}{key}.")
        elif key != "defaults":
            yield f"{path}{key}", value


def test_a_plateau_brings_its_callback_and_no_other_schedule_does() -> None:
    for path in (CONF / "schedule").glob("*.yaml"):
        composed = load(compose("train", overrides=[f"schedule={path.stem}"]))
        assert ("reduce_learning_rate" in composed.callbacks) == (path.stem == "plateau")
    plateau = load(compose("train", overrides=["schedule=plateau", "objective.metric=val_loss", "objective.mode=min"]))
    watched = plateau.callbacks["reduce_learning_rate"]
    assert watched is not None
    assert (watched["monitor"], watched["mode"]) == ("val_loss", "min")
    stop = plateau.callbacks["early_stopping"]
    assert stop is not None
    assert watched["patience"] < stop["patience"]


@pytest.mark.parametrize("path", sorted((CONF / "optimizer").glob("*.yaml")), ids=named)
def test_an_optimizer_has_every_option_and_keras_takes_them(path: Path) -> None:
    node = OmegaConf.to_container(OmegaConf.load(path))
    shared = {"learning_rate", "weight_decay", "clipnorm", "global_clipnorm", "use_ema", "ema_momentum"}
    assert {*shared, "gradient_accumulation_steps"} <= set(node)
    assert instantiate("optimizer", {**node, "learning_rate": 0.5})().learning_rate.numpy() == 0.5


@pytest.mark.parametrize("path", [path for path in OPTIONS if path.parent.name == "experiment"], ids=named)
def test_an_experiment_says_its_claim_what_to_expect_and_the_command(path: Path) -> None:
    header = re.match(r"(#.*\n)+", path.read_text())
    assert header is not None
    for line in ("# @package _global_", "# Claim:", "# Expect:"):
        assert line in header[0]
    assert re.search(rf"# Command: python scripts/train.py experiment={path.stem}( data=\w+)?\n", header[0])


def test_promote_composes_and_loads_without_problems() -> None:
    assert load_promote(compose("promote")).apply is False


def test_promote_uses_the_store_that_train_writes() -> None:
    train, promote = load(compose("train")), load_promote(compose("promote"))
    assert (promote.tracking.uri, promote.tracking.experiment) == (train.tracking.uri, train.tracking.experiment)
    assert promote.objective == train.objective


def test_serve_names_the_model_that_promote_registers() -> None:
    assert OmegaConf.load(CONF / "serve.yaml").model_name == load_promote(compose("promote")).model_name


def test_every_policy_is_an_option_of_data_aug() -> None:
    policies = {path.stem for path in (CONF / "augmentation").glob("*.yaml")}
    assert set(GlobalHydra.instance().config_loader().get_group_options("data.aug")) == policies


@pytest.mark.parametrize("group", ["augmentation", "data", "model"])
def test_an_option_has_the_name_of_its_file(group: str) -> None:
    for path in (CONF / group).glob("*.yaml"):
        assert OmegaConf.load(path)["name"] == path.stem


def test_a_primary_configuration_comes_before_its_groups() -> None:
    for name in ("train", "promote"):
        assert OmegaConf.load(CONF / f"{name}.yaml")["defaults"][0] == "_self_"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_opens_with_what_it_is(path: Path) -> None:
    comments = [line for line in path.read_text().splitlines()[:2] if line.startswith("# ")]
    assert [line for line in comments if "@package" not in line]


KEY = re.compile(r"^ *([\w.]+):")
STRUCTURE = {"_target_", "_partial_", "defaults", "name", "input", "runtime", "tracking", "trainer"}
STRUCTURE |= {"augmentation", "finetuning", "loss", "optimizer"}  # groups that an experiment patches
STRUCTURE |= {"all", "head", "upper"}  # names of phases
STRUCTURE |= {"finding", "items", "reason"}  # of what is accepted: explained where it is empty


def keys(path: Path) -> Iterator[tuple[str, bool]]:
    """Each key, and whether a comment stands on its line or above it."""
    above = ""
    for line in path.read_text().partition("\nhydra:")[0].splitlines():
        if match := KEY.match(line):
            yield match[1], "#" in line or above.lstrip().startswith("#")
        above = line


EXPLAINED = {key for path in FILES for key, commented in keys(path) if commented}


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name != "hydra"], ids=named)
def test_every_key_is_explained_where_it_stands_or_in_another_file(path: Path) -> None:
    assert {key for key, _ in keys(path)} - EXPLAINED - STRUCTURE == set()
