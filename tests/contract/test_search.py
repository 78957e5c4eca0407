"""Each file of conf/search is a search that can start, and each name that the schema takes is one that can be built."""

from __future__ import annotations

import importlib.util
import shlex
import typing
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from hydra_plugins.medexp_sweeper._space import Searched, space_of
from medexp.config.load import load
from medexp.config.register import CONF, register
from medexp.config.schema_search import SearchConfig
from medexp.errors import ConfigError
from medexp.sweep.exhaustive import examples
from medexp.sweep.pruners import PRUNERS, pruner
from medexp.sweep.samplers import EXHAUSTIVE, SAMPLERS, sampler

OPTIONS = sorted(path.stem for path in (CONF / "search").glob("*.yaml"))


@pytest.fixture(scope="module", autouse=True)
def _hydra() -> Iterator[None]:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def searched(line: str) -> tuple[SearchConfig, Searched]:
    """The search of a command line whose sweeping overrides come last, after `--`."""
    fixed, _, swept = (shlex.split(part) if part != "--" else [] for part in line.partition("--"))
    base = compose("train", overrides=fixed)
    search = load(base).search
    assert search is not None
    return search, space_of([*fixed, *swept], search, GlobalHydra.instance().config_loader(), base=base)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_gives_a_space_whose_jobs_all_load(option: str) -> None:
    """Each value of each choice and both ends of each range, as composed for a job."""
    search, (fixed, space) = searched(f"search={option} -- seed=1,2")
    assert "seed" in space.names
    assert set(search.space) <= set(space.names)
    found = examples(space)
    assert {"seed=1", "seed=2"} <= {text for overrides in found for text in overrides}
    for overrides in found:
        assert load(compose("train", overrides=[*fixed, *overrides])).search == search


@pytest.mark.parametrize("option", OPTIONS)
def test_the_sampler_and_the_pruner_of_an_option_can_be_built(option: str) -> None:
    search, (_, space) = searched(f"search={option} -- seed=1,2")
    study = optuna.create_study(
        sampler=sampler(search.sampler, search.sampler_options, seed=search.seed, space=space, index=0),
        pruner=pruner(search.pruner, search.pruner_options),
    )
    assert len(space.overrides(study.ask())) == len(space.names)


def names(field: str) -> tuple[str, ...]:
    return typing.get_args(SearchConfig.model_fields[field].annotation)


def test_the_schema_takes_the_names_that_there_are() -> None:
    assert sorted(names("sampler")) == sorted(SAMPLERS)
    assert sorted(names("pruner")) == sorted(PRUNERS)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_takes_the_place_of_another_by_its_name_alone(name: str) -> None:
    if name == "gp" and not all(importlib.util.find_spec(package) for package in ("torch", "greenlet")):
        with pytest.raises(ConfigError, match="pip install"):
            searched(f"search=optuna search.sampler={name}")
        return
    if name in EXHAUSTIVE:
        rest = "-- optimizer.learning_rate=1e-3,1e-2 optimizer.weight_decay=0,1e-2"
        _, (_, space) = searched(f"search=optuna search.sampler={name} {rest}")
        assert space.combinations is not None
        assert len(space.combinations) == 2 * 2 * 3
    else:
        _, (_, space) = searched(f"search=optuna search.sampler={name}")
        assert len(space.names) == 3


@pytest.mark.parametrize("name", PRUNERS)
def test_a_pruner_takes_the_place_of_another_by_its_name_alone(name: str) -> None:
    search, _ = searched(f"search=optuna search.pruner={name} search.folds={str(name == 'wilcoxon').lower()}")
    assert pruner(search.pruner, search.pruner_options)


def test_a_pruner_is_refused_where_trials_are_compared_by_another_metric_than_epochs() -> None:
    """It would hear val_auc, which is the larger the better, and take the largest for the worst."""
    other = "search.objectives=[{metric:val_loss,mode:min}]"
    with pytest.raises(ConfigError, match=r"search\.pruner=none"):
        searched(f"search=optuna {other}")
    assert searched(f"search=optuna search.pruner=none {other}")[0].objectives
    assert searched("search=optuna search.objectives=[{metric:val_auc,mode:max}]")[0].pruner == "median"
    assert searched("search=optuna objective.metric=val_loss objective.mode=min")[0].pruner == "median"


@pytest.mark.parametrize("name", ["../../elsewhere", "a/b", "..", ".hidden", "a'b", "-m", "x" * 200, "a\\\\b"])
def test_a_name_that_is_no_folder_below_the_sweeps_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"search\.study"):
        searched(shlex.quote(f'search.study="{name}"'))


@pytest.mark.parametrize("name", ["mine", "2026", "lr=1e-3+aug", "Größe 2", "model=resnet18-1a2b3c4d-2"])
def test_a_name_that_is_one_is_taken(name: str) -> None:
    assert searched(shlex.quote(f'search.study="{name}"'))[0].study == name


def test_folds_are_as_many_as_the_split_has() -> None:
    _, (_, space) = searched("search=folds data.split.folds=3 -- model=simple_cnn,resnet18")
    assert space.combinations is not None
    assert [overrides for overrides in space.combinations if "model=resnet18" in overrides] == [
        (f"data.fold={fold}", "model=resnet18") for fold in range(3)
    ]


def test_the_condition_that_comes_along_is_used_as_its_example_says() -> None:
    source = Path(CONF.parent / "medexp" / "sweep" / "conditions.py").read_text()
    command = source.partition("python scripts/train.py -m ")[2].partition("```")[0].replace("\\\n", " ")
    first, second, *swept = shlex.split(command)
    _, (fixed, space) = searched(f"{first} {second} -- {shlex.join(swept)}")
    found = examples(space)
    assert {"optimizer=sgd" in overrides for overrides in found} == {True, False}
    for overrides in found:
        momentum = [text for text in overrides if "momentum" in text]
        assert bool(momentum) == ("optimizer=sgd" in overrides)
        assert load(compose("train", overrides=[*fixed, *overrides]))
