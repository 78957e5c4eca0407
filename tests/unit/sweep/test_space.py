"""From Hydra's grammar to what is searched, and back."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig

from hydra_plugins.medexp_sweeper._space import Searched, space_of
from hydra_plugins.medexp_sweeper._values import write
from medexp.config.load import load
from medexp.config.register import CONF, register
from medexp.config.schema_search import SearchConfig
from medexp.errors import ConfigError, MedexpError
from medexp.sweep.conditions import momentum_with_sgd
from medexp.sweep.exhaustive import examples, exhaustive
from medexp.sweep.space import Choice, Interval, Space

CONDITION = "search.condition=medexp.sweep.conditions.momentum_with_sgd"
BRUTE = "search.sampler=brute_force"
TPE = "search.sampler=tpe search.n_trials=3"


@pytest.fixture(scope="module", autouse=True)
def _hydra() -> Iterator[None]:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def loader() -> ConfigLoader:
    return GlobalHydra.instance().config_loader()


def parse(line: str) -> list[Any]:
    return OverridesParser.create(config_loader=loader()).parse_overrides(shlex.split(line))


@functools.cache
def composed(*fixed: str) -> tuple[DictConfig, SearchConfig]:
    base = compose("train", overrides=list(fixed))
    search = load(base).search
    assert search is not None
    return base, search


def searched(line: str, space: dict[str, str] | None = None) -> Searched:
    """What a command line searches; with `space` as `search.space`."""
    arguments = shlex.split(line)
    fixed = [text for text in arguments if not parse(shlex.quote(text))[0].is_sweep_override()]
    base, search = composed(*fixed)
    if space is not None:
        search = search.model_copy(update={"space": space})
    return space_of(arguments, search, loader(), base=base)


def refusal(line: str, space: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        searched(line, space)
    return str(caught.value)


def only(line: str) -> Choice | Interval:
    (parameter,) = searched(line).space.parameters
    return parameter


@pytest.mark.parametrize(
    "line",
    [
        "model=simple_cnn,resnet18 seed=1,2,3",
        "seed=range(1,4) data.aug=choice(none,light)",
        "seed=range(3,0,-1) name=a",
        "trainer.max_epochs=sort(3,1,2,reverse=true) seed=7,8",
        "'optimizer.weight_decay=range(0,1,0.25)'",
        "'model.filters=[8,16],[32]'",
        "'++extra={a:1,b:[x,y]},{c:2}' '+more=1,2'",
        "'name=choice(\"a,b\",\"it''s\",c)'",
        "optimizer.clipnorm=null,1.0 ~callbacks.early_stopping",
        "'model=glob([res*,v*],exclude=*50)'",
        "'seed=int(choice(\"3\",4))'",
        "seed=1,2 model=simple_cnn seed=3,4",
        "seed=1,2 model=simple_cnn,resnet18 seed=3",
        "seed=3 model=simple_cnn,resnet18 seed=1,2",
        "schedule@other=cosine,constant",
        "",
    ],
)
def test_a_grid_is_hydras_own_in_its_order(line: str) -> None:
    """The jobs of Hydra's basic sweeper have the same values, one by one."""
    fixed, space = searched(line)
    assert space.combinations is not None
    ours = [sorted(values([*fixed, *chosen])) for chosen in space.combinations]
    (jobs,) = BasicSweeper.split_arguments(parse(line), max_batch_size=None)
    assert ours == [sorted(values(job)) for job in jobs]


def values(overrides: list[str]) -> list[tuple[str, str]]:
    """What the overrides say once Hydra has parsed them."""
    parsed = [parse(shlex.quote(override))[0] for override in overrides]
    assert not any(override.is_sweep_override() for override in parsed)
    return [(override.get_key_element(), repr(override.value())) for override in parsed]


def test_the_command_line_wins_over_search_space_key_by_key() -> None:
    space = {"seed": "1,2", "trainer.max_epochs": "3,4", "optimizer.clipnorm": "null,1.0"}
    fixed, found = searched("++trainer.max_epochs=5,6 optimizer.clipnorm=2.0", space)
    assert found.describe() == {"seed": "1,2", "trainer.max_epochs": "5,6"}
    assert fixed == ["optimizer.clipnorm=2.0"]
    assert found.combinations is not None
    assert found.combinations[0] == ("seed=1", "++trainer.max_epochs=5")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed=range(1,10)", Interval("seed", 1, 9, integer=True)),
        ("seed=range(0,10,3)", Interval("seed", 0, 9, integer=True, step=3)),
        ("seed=range(9,0,-3)", Interval("seed", 3, 9, integer=True, step=3)),
        ("optimizer.weight_decay=range(0,0.5,0.1)", Interval("optimizer.weight_decay", 0.0, 0.4, step=0.1)),
        ("seed=tag(log,range(1,10))", Interval("seed", 1, 9, integer=True, log=True)),
    ],
)
def test_a_range_leaves_out_its_end_as_in_hydra(text: str, expected: Interval) -> None:
    assert only(f"{TPE} '{text}'") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer.weight_decay=interval(0,1)", Interval("optimizer.weight_decay", 0.0, 1.0)),
        (
            "optimizer.learning_rate=tag(log,interval(1e-5,1e-2))",
            Interval("optimizer.learning_rate", 1e-5, 1e-2, log=True),
        ),
        ("trainer.max_epochs=interval(1,10)", Interval("trainer.max_epochs", 1, 10, integer=True)),
        ("trainer.steps_per_epoch=int(interval(1,10))", Interval("trainer.steps_per_epoch", 1, 10, integer=True)),
        ("trainer.steps_per_epoch=interval(1,10)", Interval("trainer.steps_per_epoch", 1.0, 10.0)),
        ("trainer.max_epochs=tag(step:4,interval(1,10))", Interval("trainer.max_epochs", 1, 9, integer=True, step=4)),
        ("model.dropout=tag(step:0.2,interval(0,0.5))", Interval("model.dropout", 0.0, 0.4, step=0.2)),
        ("runtime.deterministic=interval(0,1)", Interval("runtime.deterministic", 0.0, 1.0)),
    ],
)
def test_an_interval_is_of_integers_where_the_configuration_has_one(text: str, expected: Interval) -> None:
    model = "model=efficientnet " if "model." in text else ""
    assert only(f"{model}{TPE} '{text}'") == expected


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("seed=1,1.0", ["1 and 1.0 are the same value", "Received: seed=1,1.0"]),
        ("seed=1,true", ["1 and true are the same value"]),
        ("seed=2,2", ["2 and 2 are the same value"]),
        ("'model.filters=[1],[2],[1]'", ["[1] and [1] are the same value"]),
        ("name=a,'\"a\"'", ["a and a are the same value"]),
        (f"{TPE} 'optimizer.learning_rate=tag(log,interval(0,1))'", ["above 0", "=tag(log,interval(1e-06,1))"]),
        (f"{TPE} 'seed=tag(log,range(0,4))'", ["log needs ends above 0"]),
        (f"{TPE} 'optimizer.weight_decay=interval(1,0)'", ["from the smaller to the larger"]),
        (f"{TPE} 'optimizer.weight_decay=interval(1,1)'", ["from the smaller to the larger"]),
        (f"{TPE} 'optimizer.weight_decay=interval(0,inf)'", ["from the smaller to the larger"]),
        (f"{TPE} 'trainer.max_epochs=interval(1,9.5)'", ["is an integer", "trainer.max_epochs=int(interval(1,10))"]),
        (f"{TPE} 'trainer.max_epochs=tag(step:0.5,interval(1,9))'", ["its step must be"]),
        (f"{TPE} 'optimizer.weight_decay=tag(step:2,interval(0,1))'", ["longer than the interval"]),
        (f"{TPE} 'optimizer.weight_decay=tag(step:-1,interval(0,1))'", ["one number above 0"]),
        (f"{TPE} 'optimizer.weight_decay=tag(log,step:0.1,interval(0.1,1))'", ["exclude each other"]),
        (f"{TPE} 'seed=tag(log,range(1,9,2))'", ["exclude each other"]),
        (f"{TPE} 'seed=tag(lgo,range(1,9))'", ["Unknown tag", "Did you mean 'log'"]),
        ("'seed=tag(log,choice(1,9))'", ["log needs numbers between two ends"]),
        ("'seed=tag(step:2,range(1,9))'", ["step is for intervals"]),
        ("seed=range(4,1)", ["no value is left"]),
        (f"{TPE} seed=range(4,1)", ["the range is empty"]),
        ("'seed=range(1,4,0)'", ["a step of 0"]),
        ("'model=glob(x*)'", ["no value is left", "Available: convnext_tiny"]),
        ("data.aug=light,strnog", ["Unknown option", "Did you mean 'strong'"]),
        ("~seed=1,2", ["what is removed has no values"]),
        ("search.n_trials=1,2", ["all trials of a study share it"]),
        ("search=grid,optuna", ["all trials of a study share it"]),
        ("paths.outputs=a,b", ["all trials of a study share it"]),
        ("logger=none,mlflow", ["all trials of a study share it"]),
        ("'optimizer.weight_decay=interval(0,1)'", ["every number between", "search.sampler=tpe"]),
        ("seed=range(0,1000) trainer.max_epochs=range(0,1000)", ["more than 100000", "sampler=random"]),
        ("seed=range(0,1000000)", ["more than 100000 values"]),
        (f"{CONDITION} optimizer=adamw,sgd", ["no conditions", "search.sampler=brute_force"]),
        (f"{BRUTE} {CONDITION} optimizer=sgd,adamw '++optimizer.momentum=interval(0.8,0.9)'", ["every number"]),
        (f"{TPE} search.condition=nowhere.at_all seed=1,2", ["cannot be imported", "PYTHONPATH"]),
        (f"{TPE} search.condition=medexp.sweep.conditions.momentum seed=1,2", ["Did you mean 'momentum_with_sgd'"]),
        (f"{TPE} search.condition=momentum seed=1,2", ["names a function of a module"]),
        (f"{TPE} search.condition=medexp.console.wide_console seed=1,2", ["takes a trial and a space"]),
        (TPE, ["nothing to search", "search=optuna"]),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused_with_its_key_and_the_remedy(line: str, said: list[str]) -> None:
    text = refusal(line)
    assert all(part in text for part in said)


def test_every_wrong_key_is_named_at_once() -> None:
    text = refusal("seed=1,1", {"trainer.max_epochs": "3", "optimizer.clipnorm": "choice(null,1)", "name": "a,a"})
    for part in (
        "search.space.trainer.max_epochs: one value leaves nothing to search",
        "choice() takes no null; a list does",
        "name: a and a are the same value",
        "seed: 1 and 1 are the same value",
    ):
        assert part in text


def test_a_shuffled_list_has_the_same_order_at_each_start_and_another_with_another_seed() -> None:
    def order(line: str) -> list[str]:
        combinations = searched(line).space.combinations
        assert combinations is not None
        return [text for (text,) in combinations]

    first = order("'seed=shuffle(range(0,20))'")
    assert first == order("'seed=shuffle(range(0,20))'")
    assert first != order("'seed=shuffle(range(0,20))' search.seed=1")
    assert sorted(first) == sorted(f"seed={i}" for i in range(20))
    assert order("name=shuffle(a,b,c,d,e,f)") == order("name=shuffle(a,b,c,d,e,f)")


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text("ab1 ,:=[]{}()'\"\\$é_-.+~\t#", max_size=8),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=6,
    )
)
def test_a_value_that_is_written_is_read_back_by_hydra_as_the_same(value: Any) -> None:
    (read,) = OverridesParser.create().parse_overrides([f"key={write(value)}"])
    assert repr(read.value()) == repr(value)
    assert not read.is_sweep_override()


def test_texts_that_look_like_something_else_stay_texts() -> None:
    assert [write(text) for text in ("1", "true", "null", "1e-3", "", "a b", "a,b", "inf", "light", "a/b.c-d")] == [
        "'1'", "'true'", "'null'", "'1e-3'", "''", "'a b'", "'a,b'", "'inf'", "light", "a/b.c-d",
    ]  # fmt: skip


def test_null_and_booleans_are_categories_like_any_other() -> None:
    space = searched(f"{TPE} optimizer.clipnorm=null,0.5 optimizer.use_ema=true,false").space
    study = quiet_study()
    seen = {text for _ in range(20) for text in space.overrides(study.ask())}
    assert seen == {
        "optimizer.clipnorm=null",
        "optimizer.clipnorm=0.5",
        "optimizer.use_ema=true",
        "optimizer.use_ema=false",
    }


def test_a_number_is_written_without_the_rounding_error_of_its_steps() -> None:
    parameter = Interval("a", 0.0, 0.5, step=0.1)
    assert [parameter.write(i * 0.1) for i in range(6)] == ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]
    assert Interval("a", 0.0, 1.0).write(0.1 + 0.2) == "0.30000000000000004"


def test_the_description_tells_any_two_spaces_apart() -> None:
    different = [
        Space((Choice("a", ("1", "2")),)),
        Space((Choice("a", ("2", "1")),)),
        Space((Interval("a", 1, 2, integer=True),)),
        Space((Interval("a", 1.0, 2.0),)),
        Space((Interval("a", 1.0, 2.5),)),
        Space((Interval("a", 1.0, 2.0, log=True),)),
        Space((Interval("a", 1.0, 2.0, step=0.5),)),
        Space((Choice("a", ("1", "2")),), momentum_with_sgd),
    ]
    assert len({str(space.describe()) for space in different}) == len(different)
    assert Space((Choice("++a", ("1", "2")),)).describe() == different[0].describe()


def quiet_study() -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


MOMENTUM = Space(
    (
        Choice("optimizer", ("adamw", "sgd", "lion")),
        Choice("++optimizer.momentum", ("0.8", "0.9")),
        Choice("seed", ("1", "2")),
    ),
    momentum_with_sgd,
)


def test_momentum_is_searched_only_where_the_optimizer_has_one() -> None:
    study = quiet_study()
    for _ in range(30):
        overrides = MOMENTUM.overrides(study.ask())
        assert ("optimizer=sgd" in overrides) == any("momentum" in text for text in overrides)
    assert {"optimizer.momentum" in trial.params for trial in study.trials} == {True, False}


def test_a_condition_is_walked_through_from_end_to_end_once() -> None:
    found = exhaustive(MOMENTUM).combinations
    assert found is not None
    assert sorted(found) == sorted(
        [(f"optimizer={name}", f"seed={seed}") for name in ("adamw", "lion") for seed in (1, 2)]
        + [("optimizer=sgd", f"seed={seed}", f"++optimizer.momentum={m}") for seed in (1, 2) for m in (0.8, 0.9)]
    )


def test_a_condition_may_suggest_what_the_space_does_not_have() -> None:
    def layers(trial: optuna.Trial, space: Space) -> list[str]:
        depth = trial.suggest_int("depth", 1, 2)
        widths = [trial.suggest_float(f"width_{i}", 0.5, 1.0, step=0.5) for i in range(depth)]
        return [f"model.widths=[{','.join(map(str, widths))}]"]

    found = exhaustive(Space((), layers)).combinations
    assert found is not None
    assert [text.partition("=")[2] for (text,) in found] == [
        "[0.5]", "[1.0]", "[0.5,0.5]", "[0.5,1.0]", "[1.0,0.5]", "[1.0,1.0]",
    ]  # fmt: skip


def test_jobs_that_are_the_same_are_tried_once() -> None:
    def forgetful(trial: optuna.Trial, space: Space) -> list[str]:
        return [text for text in (space.suggest(trial, name) for name in space.names) if "momentum" not in text]

    found = exhaustive(Space((Choice("seed", ("1", "2")), Choice("momentum", ("0.8", "0.9"))), forgetful)).combinations
    assert found == (("seed=1",), ("seed=2",))


@pytest.mark.parametrize("returned", [None, "a=1", [1], ["a"]])
def test_a_condition_that_returns_something_else_is_refused(returned: Any) -> None:
    def wrong(trial: optuna.Trial, space: Space) -> Any:
        return returned

    with pytest.raises(ConfigError, match="returns a list of overrides"):
        examples(Space((Choice("a", ("1", "2")),), wrong))


def test_a_condition_that_fails_says_where_and_what() -> None:
    def failing(trial: optuna.Trial, space: Space) -> list[str]:
        return [space.suggest(trial, "b")] if len(space.names) > 1 else [str(1 / 0)]

    with pytest.raises(ConfigError, match=r"ZeroDivisionError.*search\.condition=.*failing"):
        examples(Space((Choice("a", ("1", "2")),), failing))
    with pytest.raises(MedexpError, match="Unknown parameter of the space"):
        examples(Space((Choice("a", ("1", "2")), Choice("c", ("1", "2"))), failing))


def test_examples_show_each_choice_and_both_ends_of_each_range() -> None:
    space = Space((Choice("a", ("x", "y", "z")), Interval("b", 1, 9, integer=True), Choice("c", ("1", "2"))))
    found = examples(space)
    assert len(found) == 6
    assert {text for overrides in found for text in overrides} == {"a=x", "a=y", "a=z", "b=1", "b=9", "c=1", "c=2"}


def test_brute_force_tries_the_combinations_of_the_grid_in_an_order_of_its_seed() -> None:
    line = "model=simple_cnn,resnet18 seed=range(0,10)"
    grid, shuffled, again, other = (
        searched(f"{line} search.sampler={sampler}").space.combinations
        for sampler in ("grid", "brute_force", "brute_force", "brute_force search.seed=1")
    )
    assert grid is not None
    assert shuffled is not None
    assert other is not None
    assert sorted(grid) == sorted(shuffled)
    assert shuffled == again
    assert len({grid, shuffled, other}) == 3


def test_a_condition_of_any_module_that_python_finds_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_conditions.py").write_text(
        "def first(trial, space):\n    return [space.suggest(trial, space.names[0])]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    space = searched("search.sampler=brute_force search.condition=my_conditions.first seed=1,2 name=a,b").space
    assert space.combinations is not None
    assert sorted(space.combinations) == [("seed=1",), ("seed=2",)]
