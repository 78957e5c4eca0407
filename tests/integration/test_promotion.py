"""Candidates, aliases and decisions in a real registry in SQLite; the gates have tests of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from promotable import (
    DATA,
    aliases,
    appoint,
    candidates,
    decided,
    decisions,
    empty_store,
    go_back,
    promotion,
    record,
    store_from,
)

from medexp.errors import RegistryError, TrackingError


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return empty_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def uri(template: Path, tmp_path: Path) -> str:
    return store_from(template, tmp_path)


def test_the_best_run_at_its_best_epoch_becomes_champion(uri: str) -> None:
    record(uri, 0.8)
    best = record(uri, 0.9)
    record(uri, 0.99, model=False)
    record(uri, 0.7)
    proposal = candidates(uri).propose()
    assert proposal.candidate.run_id == best
    assert [candidate.score for candidate in proposal.ranked] == [0.9, 0.8, 0.7]
    assert appoint(uri) == "1"
    assert aliases(uri) == {"champion": best}


def test_a_proposal_changes_nothing(uri: str) -> None:
    record(uri, 0.8)
    candidates(uri).propose()
    from medexp.tracking.store import open_client

    assert list(open_client(uri).search_registered_models()) == []
    assert decisions(uri) == []


def test_a_better_run_takes_over_and_the_old_champion_becomes_previous(uri: str) -> None:
    first = record(uri, 0.8)
    appoint(uri)
    second = record(uri, 0.9)
    assert appoint(uri) == "2"
    assert aliases(uri) == {"champion": second, "previous": first}
    assert promotion(uri).history() == ("1", "2")
    assert decisions(uri) == [("promote", "done", "FINISHED")] * 2


def test_the_champion_is_not_replaced_by_itself(uri: str) -> None:
    only = record(uri, 0.8)
    appoint(uri)
    record(uri, 0.7)
    assert candidates(uri).propose().done
    assert appoint(uri) == "1"
    assert aliases(uri) == {"champion": only}
    assert len(decisions(uri)) == 1


def test_an_old_version_is_used_again(uri: str) -> None:
    first = record(uri, 0.8)
    appoint(uri)
    second = record(uri, 0.9)
    appoint(uri)
    assert appoint(uri, first) == "1"
    assert aliases(uri) == {"champion": first, "previous": second}


def test_runs_on_other_data_are_not_ranked_together(uri: str) -> None:
    first = record(uri, 0.8)
    appoint(uri)
    other = record(uri, 0.95, data=replace(DATA, digest="bbbb"))
    proposal = candidates(uri).propose()
    assert proposal.candidate.run_id == first
    assert proposal.elsewhere == {("chest", "bbbb"): 1}
    assert candidates(uri).propose(data="bbbb").candidate.run_id == other


def test_several_data_sets_without_a_champion_ask_which(uri: str) -> None:
    record(uri, 0.8)
    record(uri, 0.9, data=replace(DATA, name="breast", digest="bbbb"))
    with pytest.raises(RegistryError, match=r"breast bbbb \(1 runs\); chest aaaa \(1 runs\).*dataset="):
        candidates(uri).propose()
    assert candidates(uri).propose(data="chest").candidate.data == "chest"


def test_only_the_jobs_of_a_sweep(uri: str) -> None:
    record(uri, 0.9)
    inside = record(uri, 0.8, parent="0" * 32)
    assert candidates(uri).propose(sweep="0" * 32).candidate.run_id == inside


def test_a_minimised_objective_takes_the_smallest(uri: str) -> None:
    record(uri, 0.8)
    small = record(uri, 0.2)
    assert candidates(uri, "min").propose().candidate.run_id == small


def test_a_run_is_named_by_the_beginning_of_its_id(uri: str) -> None:
    run = record(uri, 0.8)
    record(uri, 0.9)
    assert candidates(uri).propose(run=run[:10]).candidate.run_id == run
    with pytest.raises(RegistryError, match="at least 6 characters"):
        candidates(uri).propose(run=run[:5])


def test_a_run_that_does_not_exist_is_said(uri: str) -> None:
    record(uri, 0.8)
    with pytest.raises(RegistryError, match="run=nothing"):
        candidates(uri).propose(run="nothing")
    with pytest.raises(RegistryError, match=r"No finished run has this id.*run=ffffffffffff"):
        candidates(uri).propose(run="ffffffffffff")


def test_an_evaluation_is_a_candidate_where_it_is_named_with_the_score_of_its_training(uri: str) -> None:
    training = record(uri, 0.8)
    evaluation = record(uri, 0.99, tags={"medexp.kind": "evaluation", "medexp.evaluates": training})
    assert candidates(uri).propose().candidate.run_id == training
    named = candidates(uri).propose(run=evaluation).candidate
    assert (named.run_id, named.trained_by, named.score) == (evaluation, training, 0.8)


def test_a_champion_that_changed_meanwhile_is_not_overwritten(uri: str) -> None:
    record(uri, 0.8)
    late = candidates(uri).propose()
    judged = decided("promote", late.candidate.run_id, promotion(uri).history())
    record(uri, 0.9)
    appoint(uri)
    with pytest.raises(RegistryError, match="changed meanwhile"):
        promotion(uri).apply(judged, late.candidate)


def test_two_first_promotions_at_once_make_one_champion(uri: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    runs = [record(uri, 0.8), record(uri, 0.9)]
    proposals = [candidates(uri).propose(run=run).candidate for run in runs]
    acting = [promotion(uri) for _ in runs]

    def apply(which: int) -> str:
        try:
            return acting[which].apply(decided("promote", runs[which], ()), proposals[which])
        except RegistryError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(apply, range(2)))
    assert outcomes[0] == "1"
    assert "changed meanwhile" in outcomes[1]
    assert len(aliases(uri)) == 1


def test_a_challenger_stands_beside_the_champion_until_it_is_the_champion(uri: str) -> None:
    first = record(uri, 0.8)
    appoint(uri)
    second = record(uri, 0.9)
    assert appoint(uri, second, alias="challenger") == "2"
    assert aliases(uri) == {"champion": first, "challenger": second}
    assert promotion(uri).history() == ("1",)
    appoint(uri, second)
    assert aliases(uri) == {"champion": second, "previous": first}


def test_a_rollback_goes_back_one_step_and_another_one_another_step(uri: str) -> None:
    runs = []
    for score in (0.7, 0.8, 0.9):
        runs.append(record(uri, score))
        appoint(uri)
    assert go_back(uri) == "2"
    assert aliases(uri) == {"champion": runs[1], "previous": runs[0]}
    assert go_back(uri) == "1"
    assert aliases(uri) == {"champion": runs[0]}
    with pytest.raises(RegistryError, match=r"nothing to go back to.*version 1, its first champion"):
        go_back(uri)
    assert appoint(uri) == "3"
    assert aliases(uri) == {"champion": runs[2], "previous": runs[0]}


def test_a_rollback_leaves_out_a_version_that_was_deleted(uri: str) -> None:
    from medexp.tracking.store import open_client

    for score in (0.7, 0.8, 0.9):
        record(uri, score)
        appoint(uri)
    open_client(uri).delete_model_version("medexp", "2")
    assert go_back(uri) == "1"
    assert set(aliases(uri)) == {"champion"}


def test_an_alias_that_was_moved_by_hand_counts(uri: str) -> None:
    from medexp.tracking.store import open_client

    for score in (0.7, 0.8, 0.9):
        record(uri, score)
        appoint(uri)
    open_client(uri).set_registered_model_alias("medexp", "champion", "1")
    assert promotion(uri).history() == ("1", "2", "3", "1")
    assert go_back(uri) == "3"


def test_a_refusal_is_recorded_and_counted_with_the_others(uri: str) -> None:
    run = record(uri, 0.8)
    promotion(uri).refuse(decided("promote", run, (), outcome="refused", evidence={"data": {"digest": "aaaa"}}))
    assert decisions(uri) == [("promote", "refused", "KILLED")]
    appoint(uri)
    assert promotion(uri).judged("aaaa") == 2
    assert promotion(uri).judged("bbbb") == 0
    assert promotion(uri).unfinished() == ()


def test_a_champion_of_no_run_is_said(uri: str) -> None:
    from medexp.tracking.store import open_client

    record(uri, 0.8)
    client = open_client(uri)
    client.create_registered_model("medexp")
    created = client.create_model_version("medexp", source="somewhere")
    client.set_registered_model_alias("medexp", "champion", created.version)
    with pytest.raises(RegistryError, match=r"comes from no run\. Received: medexp version 1"):
        candidates(uri).propose()


def test_without_a_store_nothing_is_created(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    acting: Any
    for acting in (candidates, promotion):
        with pytest.raises(TrackingError, match=r"python scripts/train\.py"):
            acting(uri)
    assert not Path(uri.removeprefix("sqlite:///")).exists()


def test_what_had_not_taken_effect_is_undone_by_the_next_command(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from medexp.registry.lineage import CHAMPION, Lineage

    first, second, third = (record(uri, score) for score in (0.7, 0.8, 0.9))
    appoint(uri, first)
    appoint(uri, second)
    whole = Lineage.set

    def interrupted(lineage: Lineage, alias: str, number: str | None) -> None:
        if alias == CHAMPION:
            raise KeyboardInterrupt
        whole(lineage, alias, number)

    with monkeypatch.context() as patched:
        patched.setattr(Lineage, "set", interrupted)
        with pytest.raises(KeyboardInterrupt):
            appoint(uri, third)
    assert aliases(uri) == {"champion": second, "previous": second}
    appoint(uri, third, alias="challenger")
    assert aliases(uri) == {"champion": second, "previous": first, "challenger": third}
    assert [outcome for _, outcome, _ in decisions(uri)[2:]] == ["abandoned", "done"]
