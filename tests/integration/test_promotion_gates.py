"""Promotion as the script does it, with real images, bundles, predictions and statistics."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from promotable import aliases, decisions, empty_store, store_from
from promotable_runs import THRESHOLDS, Runs, said
from support import Script

from medexp.errors import RegistryError
from medexp.evaluation.evidence import Subgroup, SubgroupSection
from medexp.evaluation.evidence_file import FOLDER, read_evidence, write_evidence
from medexp.evaluation.metrics import classification_metrics
from medexp.evaluation.predictions import Predictions
from medexp.experiment.promotion.promote import promote
from medexp.registry.bundle import Bundle


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return empty_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def runs(template: Path, tmp_path: Path) -> Runs:
    (outputs := tmp_path / "outputs").mkdir()
    return Runs(store_from(template, tmp_path), outputs)


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of a table is one line."""
    monkeypatch.setenv("COLUMNS", "900")


def gates(printed: str) -> dict[str, str]:
    """The verdict of each gate of the table that was printed."""
    found = re.findall(r"^\s*([a-z]+)\s.*\s(passed|failed|waived)\s*$", printed, re.MULTILINE)
    return dict(found)


def record_of(runs: Runs, place: int = -1) -> dict[str, Any]:
    """A decision's record, as MLflow has it."""
    from medexp.tracking.store import open_client

    client = open_client(runs.uri, create=False)
    experiment = client.get_experiment_by_name("medexp").experiment_id
    kept = client.search_runs([experiment], "tags.`medexp.kind` = 'promotion'", order_by=["attributes.start_time ASC"])
    return dict(json.loads(Path(client.download_artifacts(kept[place].info.run_id, "decision.json")).read_text()))


def auc(predictions: Predictions) -> float:
    return classification_metrics(predictions, thresholds=THRESHOLDS)["test_auc"]


@pytest.fixture
def first(runs: Runs) -> str:
    """The run of the first champion."""
    run = runs.add(runs.config(), noise=1.3)
    promote(runs.promote_config("apply=true"))
    return run


def test_a_first_champion_passes_all_gates_and_its_record_says_on_what_evidence(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs.add(runs.config(), noise=1.3)
    assert promote(runs.promote_config()) is None
    printed = capsys.readouterr().out
    assert "Nothing was changed" in printed
    assert set(gates(printed).values()) == {"passed"}, printed
    assert len(gates(printed)) == 10
    assert decisions(runs.uri) == []
    assert promote(runs.promote_config("apply=true")) == "1"
    assert aliases(runs.uri) == {"champion": run}
    kept = record_of(runs)
    assert (kept["outcome"], kept["version"], kept["run_id"], kept["alias"]) == ("done", "1", run, "champion")
    assert "@" in kept["who"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", kept["when"])
    assert {gate["gate"]: gate["verdict"] for gate in kept["gates"]} == gates(printed)
    assert kept["evidence"]["sources"]["candidate"]["run_id"] == run
    assert re.fullmatch(r"[0-9a-f]{64}", kept["evidence"]["sources"]["candidate"]["passport_sha256"])
    assert kept["evidence"]["metrics"]["auc"]["low"] > 0.7


def test_one_point_better_on_two_hundred_images_is_refused_with_the_number_that_is_needed(
    runs: Runs, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = runs.data(runs.config())
    now = auc(said(data, noise=1.3, seed=0))
    seed = next(seed for seed in range(1, 1000) if 0.009 < auc(said(data, noise=1.3, seed=seed)) - now < 0.011)
    runs.add(runs.config(), score=0.91, noise=1.3, seed=seed)
    with pytest.raises(RegistryError, match=r"does not pass: champion\. .*'waive=\[champion\]' reason="):
        promote(runs.promote_config("apply=true"))
    printed = " ".join(capsys.readouterr().out.split())
    assert aliases(runs.uri) == {"champion": first}
    assert decisions(runs.uri)[-1] == ("promote", "refused", "KILLED")
    paired = record_of(runs)["evidence"]["paired"]
    assert paired["images"] == 200
    assert paired["advantage"]["value"] == pytest.approx(0.01, abs=0.001)
    assert paired["images_needed"] > 1000
    assert f"{paired['images_needed']:,} images would show it" in printed


def test_a_much_better_candidate_is_promoted_and_the_rollback_goes_back(
    runs: Runs, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    better = runs.add(runs.config(), score=0.95, noise=0.7, seed=1)
    assert promote(runs.promote_config("apply=true")) == "2"
    assert aliases(runs.uri) == {"champion": better, "previous": first}
    assert "version 1 is previous" in capsys.readouterr().out
    assert promote(runs.promote_config("rollback=true")) == "1"
    assert aliases(runs.uri) == {"champion": first}
    assert decisions(runs.uri)[-1] == ("rollback", "done", "FINISHED")


def test_a_gate_is_waived_with_a_reason_on_record(runs: Runs, first: str) -> None:
    other = runs.add(runs.config(), score=0.91, noise=1.3, seed=3)
    promote(runs.promote_config("apply=true", "waive=[champion]", "reason='same accuracy, faster'"))
    assert aliases(runs.uri)["champion"] == other
    kept = record_of(runs)
    assert kept["waived_because"] == "same accuracy, faster"
    assert {gate["verdict"] for gate in kept["gates"] if gate["gate"] == "champion"} == {"waived"}
    assert first != other


def test_a_challenger_need_not_be_better(runs: Runs, first: str) -> None:
    other = runs.add(runs.config(), score=0.91, noise=1.22)
    promote(runs.promote_config("as=challenger", "apply=true", "gates.champion.margin=0.1"))
    assert aliases(runs.uri) == {"champion": first, "challenger": other}
    with pytest.raises(RegistryError, match="cannot challenge itself"):
        promote(runs.promote_config("as=challenger", f"run={first}"))


def test_a_bundle_with_a_changed_byte_is_never_promoted_whatever_is_waived(runs: Runs) -> None:
    runs.add(runs.config(), noise=1.3)
    (graph,) = (runs.outputs / "mlartifacts").rglob("model.tflite")
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(bytes(content))
    everything = "[evaluation,data,audit,floors,champion,subgroup,calibration,latency,engines]"
    with pytest.raises(RegistryError, match=r"does not pass: bundle.*never promoted"):
        promote(runs.promote_config("apply=true", f"waive={everything}", "reason=now"))
    assert aliases_or_none(runs) == {}


def test_a_rollback_to_a_broken_bundle_changes_nothing(runs: Runs, first: str) -> None:
    graph = next((runs.outputs / "mlartifacts").rglob("model.tflite"))
    better = runs.add(runs.config(), score=0.95, noise=0.7, seed=1)
    promote(runs.promote_config("apply=true"))
    graph.unlink()
    with pytest.raises(RegistryError, match="The champion before cannot be served: nothing was changed"):
        promote(runs.promote_config("rollback=true"))
    assert aliases(runs.uri) == {"champion": better, "previous": first}


def test_a_run_that_was_not_evaluated_is_told_the_command(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.add(runs.config(), evaluated=False)
    promote(runs.promote_config())
    printed = capsys.readouterr().out
    verdicts = gates(printed)
    assert {gate for gate, verdict in verdicts.items() if verdict == "failed"} >= {"floors", "calibration"}
    assert f"python scripts/evaluate.py {run}" in printed


@pytest.mark.parametrize("looked_at", [None, "site"])
def test_a_column_that_the_evaluation_has_not_looked_at_does_not_pass(
    looked_at: str | None, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runs.outputs / "runs" / runs.add(runs.config(), noise=1.3)
    path = folder / "predictions" / "test.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([f"{header},meta(sex),meta(site)", *(f"{row},f,a" for row in rows)]) + "\n")
    if looked_at is not None:
        evidence = read_evidence(folder / FOLDER)
        every = Subgroup(looked_at, "a", len(rows), None, evidence.metrics["test"])
        write_evidence(replace(evidence, subgroups=SubgroupSection("auc", 20, (every,), every)), folder / FOLDER)
    promote(runs.promote_config())
    printed = capsys.readouterr().out
    assert gates(printed)["subgroup"] == "failed"
    assert f"not looked at: {'sex' if looked_at else 'sex, site'}" in printed


def test_columns_that_cannot_be_read_do_not_pass(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.add(runs.config(), noise=1.3)
    (runs.outputs / "runs" / run / "predictions" / "test.csv").write_text("nothing\n")
    promote(runs.promote_config())
    printed = capsys.readouterr().out
    assert gates(printed)["subgroup"] == "failed"
    assert "cannot be read" in printed


def test_accepted_leakage_is_refused(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    runs.add(runs.config(), tags={"medexp.audit": "accepted", "medexp.audit.accepted": "group_in_two_splits: 3"})
    promote(runs.promote_config())
    printed = capsys.readouterr().out
    assert "group_in_two_splits 3" in printed
    assert gates(printed)["audit"] == "failed"


def test_runs_whose_folders_are_elsewhere_are_read_from_the_store(runs: Runs, first: str) -> None:
    better = runs.add(runs.config(), score=0.95, noise=0.7, seed=1)
    runs.forget_folders()
    assert promote(runs.promote_config("apply=true")) == "2"
    assert aliases(runs.uri) == {"champion": better, "previous": first}


def test_a_champion_that_was_tested_on_other_images_is_scored_on_those_of_the_candidate(
    runs: Runs, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = runs.config("data.split.seed=7")
    better = runs.add(other, score=0.95, noise=0.5, seed=1)
    assert promote(runs.promote_config(f"run={better}", "apply=true")) == "2"
    paired = record_of(runs)["evidence"]["paired"]
    assert re.match(r"it was tested on phantom \w{16}", paired["rescored"])

    data = runs.data(other)
    own = runs.data(runs.config()).load()
    learnt = set(own.facts.content[own.splits != "test"].tolist())
    rows = data.load().rows("test")
    new = np.array([text not in learnt for text in data.load().facts.content[rows].tolist()])
    assert paired["left_out"] == int((~new).sum()) > 0
    assert paired["images"] == int(new.sum())
    passports = (runs.outputs / "mlartifacts").rglob("passport.json")
    bundle = next(path.parent for path in passports if first in path.read_text())
    test = said(data, noise=1, seed=0).take(new)
    spoken = Bundle.open(bundle).probabilities(data.images("test")[new])
    assert paired["champion"] == pytest.approx(auc(replace(test, probabilities=spoken)), abs=1e-6)
    assert "images left out that the champion has learnt from" in " ".join(capsys.readouterr().out.split())


def test_a_champion_with_other_pixels_is_shown_the_images_as_it_wants_them(runs: Runs, first: str) -> None:
    larger = runs.config("data.input.height=24")
    better = runs.add(larger, score=0.95, noise=0.5, seed=1)
    assert promote(runs.promote_config(f"run={better}", "apply=true")) == "2"
    paired = record_of(runs)["evidence"]["paired"]
    assert paired["rescored"]
    assert paired["left_out"] == 0


def test_a_candidate_whose_images_the_champion_has_all_learnt_from_cannot_be_compared(
    runs: Runs, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = runs.config()
    better = runs.add(runs.config("data.split.seed=7"), score=0.95, noise=0.5, seed=1)
    split = runs.outputs / "runs" / first / "split.csv"
    split.write_text(split.read_text().replace(",test,", ",train,"))
    promote(runs.promote_config(f"run={better}"))
    printed = " ".join(capsys.readouterr().out.split())
    assert "The champion has learnt from these images" in printed
    assert config.data.name == "phantom"


def test_other_classes_and_synthetic_images_do_not_replace_a_champion_on_real_ones(
    runs: Runs, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    better = runs.add(runs.config("data.name=another"), score=0.95, noise=0.5, seed=1)
    promote(runs.promote_config(f"run={better}"))
    printed = capsys.readouterr().out
    assert gates(printed)["data"] == "failed"
    assert "data another" in printed
    assert first


def test_the_script_shows_applies_and_goes_back(script: Script, runs: Runs) -> None:
    places = (f"tracking.uri={runs.uri}", f"paths.outputs={runs.outputs}")
    run = runs.add(runs.config(), noise=1.3)
    shown = script("promote", *places)
    assert shown.returncode == 0, shown.stderr
    assert run in shown.stdout
    assert "Nothing was changed" in shown.stdout
    assert "SYNTHETIC" in shown.stdout
    applied = script("promote", *places, "apply=true")
    assert "Version 1 of medexp is champion" in applied.stdout, applied.stderr
    assert aliases(runs.uri) == {"champion": run}
    again = script("promote", *places, "apply=true")
    assert "already the champion" in again.stdout
    back = script("promote", *places, "rollback=true")
    assert back.returncode == 1
    assert "There is nothing to go back to" in back.stderr
    wrong = script("promote", *places, "aply=true")
    assert wrong.returncode == 1
    assert "Did you mean apply?" in wrong.stderr


def aliases_or_none(runs: Runs) -> dict[str, str]:
    from promotable import promotion

    return promotion(runs.uri).aliases()
