"""Promotion against a real registry in SQLite."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import Script

from medexp.errors import RegistryError, TrackingError
from medexp.registry.promotion import Promotion
from medexp.types import DataSpec, InputSpec, Objective

DATA = DataSpec(
    name="chest",
    task="binary",
    class_names=("normal", "pneumonia"),
    input=InputSpec(28, 28, 1),
    counts={"train": {"normal": 1, "pneumonia": 1}},
    digest="aaaa",
    source="somewhere",
)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/mlflow.db"


def record(uri: str, score: float, *, data: DataSpec = DATA, parent: str | None = None, model: bool = True) -> str:
    """A finished run whose model has a bundle."""
    from medexp.tracking.mlflow_tracker import MlflowTracker

    folder = Path(uri.removeprefix("sqlite:///")).parent
    tracker = MlflowTracker(uri=uri, experiment="medexp", artifacts=str(folder / "files"))
    with tracker.start("run", below=folder / "runs", parent=parent) as run:
        run.log_data(data)
        run.log_metrics({"best_val_auc": score, "val_auc": 0.5, "test_auc": score - 0.1}, step=1)
        if model:
            bundle = folder / "flavor" / run.id / "bundle"
            bundle.mkdir(parents=True)
            (bundle / "passport.json").write_text("{}")
            run.log_model(bundle.parent, params={}, metrics={"best_val_auc": score})
    return run.id


def promotion(uri: str) -> Promotion:
    return Promotion(uri=uri, experiment="medexp", model_name="medexp", objective=Objective("val_auc", "max"))


def aliases(uri: str) -> dict[str, str]:
    """Which run each alias stands for."""
    from medexp.tracking.store import open_client

    client = open_client(uri, create=False)
    found: Any = client.get_registered_model("medexp").aliases
    return {alias: client.get_model_version("medexp", version).run_id for alias, version in found.items()}


def test_the_best_run_at_its_best_epoch_becomes_champion(uri: str) -> None:
    record(uri, 0.8)
    best = record(uri, 0.9)
    record(uri, 0.99, model=False)
    record(uri, 0.7)
    proposal = promotion(uri).propose()
    assert proposal.candidate.run_id == best
    assert [candidate.score for candidate in proposal.ranked] == [0.9, 0.8, 0.7]
    assert promotion(uri).apply(proposal) == "1"
    assert aliases(uri) == {"champion": best}


def test_a_proposal_changes_nothing(uri: str) -> None:
    record(uri, 0.8)
    promotion(uri).propose()
    from medexp.tracking.store import open_client

    assert list(open_client(uri).search_registered_models()) == []


def test_a_better_run_takes_over_and_the_old_champion_becomes_previous(uri: str) -> None:
    first = record(uri, 0.8)
    promotion(uri).apply(promotion(uri).propose())
    second = record(uri, 0.9)
    assert promotion(uri).apply(promotion(uri).propose()) == "2"
    assert aliases(uri) == {"champion": second, "previous": first}


def test_the_champion_is_not_replaced_by_itself(uri: str) -> None:
    only = record(uri, 0.8)
    promotion(uri).apply(promotion(uri).propose())
    record(uri, 0.7)
    proposal = promotion(uri).propose()
    assert proposal.done
    assert promotion(uri).apply(proposal) == "1"
    assert aliases(uri) == {"champion": only}


def test_a_worse_run_is_refused_unless_accepted(uri: str) -> None:
    first = record(uri, 0.9)
    promotion(uri).apply(promotion(uri).propose())
    worse = record(uri, 0.8)
    with pytest.raises(RegistryError, match="accept_worse=true"):
        promotion(uri).apply(promotion(uri).propose(run=worse))
    assert aliases(uri) == {"champion": first}
    promotion(uri).apply(promotion(uri).propose(run=worse, accept_worse=True))
    assert aliases(uri) == {"champion": worse, "previous": first}


def test_going_back_reuses_the_old_version(uri: str) -> None:
    first = record(uri, 0.8)
    promotion(uri).apply(promotion(uri).propose())
    second = record(uri, 0.9)
    promotion(uri).apply(promotion(uri).propose())
    assert promotion(uri).apply(promotion(uri).propose(run=first, accept_worse=True)) == "1"
    assert aliases(uri) == {"champion": first, "previous": second}


def test_runs_on_other_data_are_not_compared(uri: str) -> None:
    first = record(uri, 0.8)
    promotion(uri).apply(promotion(uri).propose())
    other = record(uri, 0.95, data=replace(DATA, digest="bbbb"))
    proposal = promotion(uri).propose()
    assert proposal.candidate.run_id == first
    assert proposal.elsewhere == {("chest", "bbbb"): 1}
    with pytest.raises(RegistryError, match="accept_other_data=true"):
        promotion(uri).apply(promotion(uri).propose(data="bbbb"))
    promotion(uri).apply(promotion(uri).propose(data="bbbb", accept_other_data=True))
    assert aliases(uri)["champion"] == other


def test_several_data_sets_without_a_champion_ask_which(uri: str) -> None:
    record(uri, 0.8)
    record(uri, 0.9, data=replace(DATA, name="breast", digest="bbbb"))
    with pytest.raises(RegistryError, match=r"breast bbbb \(1 runs\); chest aaaa \(1 runs\).*dataset="):
        promotion(uri).propose()
    assert promotion(uri).propose(data="chest").candidate.data == "chest"


def test_only_the_jobs_of_a_sweep(uri: str) -> None:
    record(uri, 0.9)
    inside = record(uri, 0.8, parent="0" * 32)
    assert promotion(uri).propose(sweep="0" * 32).candidate.run_id == inside


def test_a_minimised_objective_takes_the_smallest(uri: str) -> None:
    record(uri, 0.8)
    small = record(uri, 0.2)
    smallest = Promotion(uri=uri, experiment="medexp", model_name="medexp", objective=Objective("val_auc", "min"))
    assert smallest.propose().candidate.run_id == small


def test_a_champion_that_changed_meanwhile_is_not_overwritten(uri: str) -> None:
    record(uri, 0.8)
    late = promotion(uri).propose()
    record(uri, 0.9)
    promotion(uri).apply(promotion(uri).propose())
    with pytest.raises(RegistryError, match="changed meanwhile"):
        promotion(uri).apply(late)


def test_a_run_that_does_not_exist_is_said(uri: str) -> None:
    record(uri, 0.8)
    with pytest.raises(RegistryError, match="run=nothing"):
        promotion(uri).propose(run="nothing")


def test_without_a_store_nothing_is_created(uri: str) -> None:
    with pytest.raises(TrackingError, match=r"python scripts/train\.py"):
        promotion(uri)
    assert not Path(uri.removeprefix("sqlite:///")).exists()


def test_the_script_shows_then_applies(script: Script, uri: str) -> None:
    best = record(uri, 0.9, data=replace(DATA, synthetic=True))
    shown = script("promote", f"tracking.uri={uri}")
    assert shown.returncode == 0, shown.stderr
    assert best in shown.stdout
    assert "Nothing was changed" in shown.stdout
    assert "SYNTHETIC" in shown.stdout
    applied = script("promote", f"tracking.uri={uri}", "apply=true")
    assert "Version 1 of medexp is champion" in applied.stdout
    assert aliases(uri) == {"champion": best}
    wrong = script("promote", f"tracking.uri={uri}", "aply=true", "sweep=1", "run=2")
    assert wrong.returncode == 1
    assert "1 problem:" in wrong.stderr
    assert "Did you mean apply?" in wrong.stderr
    assert json.dumps(aliases(uri)) == json.dumps({"champion": best})


@pytest.mark.slow
def test_the_command_that_a_refusal_prints_works(script: Script, uri: str) -> None:
    first = record(uri, 0.8)
    other = record(uri, 0.9, data=replace(DATA, name="breast", digest="bbbb"))
    store = f"tracking.uri={uri}"
    assert "Choose: dataset=<name or digest>" in script("promote", store).stderr
    assert "Version 1 of medexp is champion" in script("promote", store, "dataset=aaaa", "apply=true").stdout
    assert aliases(uri) == {"champion": first}
    (hint,) = [line for line in script("promote", store).stdout.splitlines() if "Not compared" in line]
    overrides = hint.partition("To see: ")[2].split()
    assert "Version 2 of medexp is champion" in script("promote", store, *overrides, "apply=true").stdout
    assert aliases(uri) == {"champion": other, "previous": first}


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("run=", "run: string should have at least 1 character"),
        ("objective.metric=test_auc", "the test set must not select"),
        ("objective.metric=val_loss", "objective.mode=min"),
    ],
)
def test_what_would_promote_by_accident_is_refused(script: Script, uri: str, override: str, text: str) -> None:
    record(uri, 0.8)
    done = script("promote", f"tracking.uri={uri}", override, "apply=true")
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_two_first_promotions_at_once_make_one_champion(uri: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    only = record(uri, 0.8)
    proposals = [promotion(uri).propose() for _ in range(2)]

    def apply(proposal: Any) -> str:
        try:
            return promotion(uri).apply(proposal)
        except RegistryError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(apply, proposals))
    assert outcomes[0] == "1"
    assert "changed meanwhile" in outcomes[1]
    assert aliases(uri) == {"champion": only}
