from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from medexp.config.flatten import as_composed, flatten, task_overrides
from medexp.config.load import load
from medexp.config.register import CONF, register

VARIANTS = [
    (),
    ("data=folder", "data.root=/x", "data.positive=sick", "model=efficientnet", "optimizer=sgd"),
    ("data=pneumoniamnist", "callbacks=none", "logger=none", "schedule=constant"),
    ("experiment=pneumonia_baseline", "debug=fast"),
]


@pytest.fixture(scope="module", autouse=True)
def _hydra() -> Iterator[None]:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@functools.cache
def composed(overrides: tuple[str, ...]) -> DictConfig:
    return compose("train", overrides=list(overrides))


@pytest.mark.parametrize("overrides", VARIANTS)
def test_every_flattened_key_is_a_key_of_the_composed_configuration_with_its_value(overrides: tuple[str, ...]) -> None:
    cfg = composed(overrides)
    for key, value in flatten(load(cfg)).items():
        assert OmegaConf.select(cfg, key, default="missing") == value, key


@pytest.mark.parametrize("overrides", VARIANTS)
def test_every_composed_value_is_in_the_flattened_configuration(overrides: tuple[str, ...]) -> None:
    cfg = composed(overrides)
    flat = flatten(load(cfg))

    def leaves(prefix: str, node: object) -> Iterator[str]:
        if isinstance(node, dict) and node:
            for key, child in node.items():
                yield from leaves(f"{prefix}.{key}" if prefix else key, child)
        else:
            yield prefix

    composed_keys = {key for key in leaves("", OmegaConf.to_container(cfg)) if not key.startswith("search.")}
    assert composed_keys - {"resume"} == set(flat)


@pytest.mark.parametrize("overrides", VARIANTS)
def test_a_configuration_written_as_composed_loads_to_the_same(overrides: tuple[str, ...]) -> None:
    config = load(composed(overrides)).model_copy(update={"search": None})
    assert load(OmegaConf.create(as_composed(config))) == config


def test_a_list_stays_whole() -> None:
    assert flatten(load(composed(())))["model.filters"] == [32, 64, 128]


def test_outside_a_hydra_program_there_are_no_overrides() -> None:
    assert task_overrides() == ()
