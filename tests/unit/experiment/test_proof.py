"""From folders of runs to variants on one test split."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared import Bench
from tested_runs import config, write_tested_run

from medexp.config.schema_compare import ProofConfig
from medexp.errors import ConfigError, DataError
from medexp.experiment.proof.prove import compared, default_metric
from medexp.experiment.proof.same_test import require_same_test
from medexp.experiment.proof.tested_run import TestedRun, read_tested
from medexp.experiment.proof.variants import pooled
from medexp.experiment.run_files import RunFiles
from medexp.types import Objective

PROOF = ProofConfig(
    metric=None, mode=None, rope=0.005, margin=None, confidence=0.95, power=0.8, resamples=200, seed=0, reference=None,
    pool=True, most=20,
)  # fmt: skip


class Outputs:
    """An outputs folder that runs are written to and read from; there is no store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bench = Bench(0)
        uri = f"sqlite:///{folder}/mlflow.db"
        self.files = RunFiles(outputs=folder, uri=uri, scratch=folder / "scratch")

    def run(self, run_id: str, *, noise: float = 1.0, score: float = 0.9, **changes: Any) -> TestedRun:
        own = {key: changes.pop(key) for key in ("digest", "content", "threshold", "objective") if key in changes}
        below = self.folder / changes.pop("below", "runs")
        predictions = changes.pop("predictions", None) or self.bench.model(noise=noise)
        write_tested_run(below / run_id, predictions, settings=config(**changes), score=score, **own)
        found = read_tested(run_id, self.files)
        assert found is not None
        return found


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "outputs")


def names(runs: list[TestedRun], **options: Any) -> dict[str, tuple[str, ...]]:
    return {v.name: tuple(run.run_id for run in v.repetitions) for v in pooled(runs, **options)}


def test_runs_that_differ_in_their_seed_alone_are_repetitions(outputs: Outputs) -> None:
    runs = [
        outputs.run("a1", seed=1), outputs.run("b1", model_name="resnet18", seed=1),
        outputs.run("a2", seed=2, paths_outputs="/elsewhere", data_workers=4, name="another name"),
    ]  # fmt: skip
    assert names(runs) == {"model=simple_cnn": ("a1", "a2"), "model=resnet18": ("b1",)}
    assert [run.seed for run in pooled(runs)[0].repetitions] == ["1", "2"]
    assert names(runs, pool=False) == {
        "model=simple_cnn seed=1": ("a1",), "model=resnet18 seed=1": ("b1",), "model=simple_cnn seed=2": ("a2",)
    }  # fmt: skip


def test_a_variant_is_named_by_what_tells_it_from_the_others(outputs: Outputs) -> None:
    runs = [
        outputs.run("a", data_aug="light", augmentation_name="light"),
        outputs.run("b", data_aug="strong", augmentation_name="strong", augmentation_rotation=0.1),
        outputs.run("c", data_aug="light", augmentation_name="light", optimizer__target_="keras.optimizers.SGD"),
    ]
    assert list(names(runs)) == [
        "data.aug=light optimizer=AdamW", "data.aug=strong optimizer=AdamW", "data.aug=light optimizer=SGD"
    ]  # fmt: skip
    assert list(names(runs[:1])) == ["model=simple_cnn data.aug=light"]


def test_variants_that_no_short_name_tells_apart_have_the_id_of_a_run(outputs: Outputs) -> None:
    runs = [outputs.run("aaaaaaaabb"), outputs.run("cccccccc11", model_name="simple_cnn", model_filters=[4])]
    assert list(names(runs)) == ["model.filters=[8, 16]", "model.filters=[4]"]
    both = [outputs.run("aaaaaaaabb", model_name="a"), outputs.run("cccccccc11", model_name="b")]
    hidden = outputs.run("dddddddd11", model_name="b", model_filters=[4])
    assert list(names([*both, hidden])) == ["model=a", "model=b (cccccccc)", "model=b (dddddddd)"]


def test_an_evaluation_of_a_training_is_no_second_repetition(
    outputs: Outputs, caplog: pytest.LogCaptureFixture
) -> None:
    first = outputs.run("training", seed=1)
    again = outputs.run("evaluation", seed=1, below="evaluations", predictions=first.predictions)
    other = outputs.run("other", model_name="b")
    with caplog.at_level(logging.WARNING):
        found = names([first, again, other])
    assert found == {"model=simple_cnn": ("training",), "model=b": ("other",)}
    assert "evaluation says what training says" in caplog.text


def test_the_best_by_validation_is_marked_and_kept_when_there_are_too_many(outputs: Outputs) -> None:
    runs = [
        outputs.run(f"{name}{seed}", model_name=name, seed=seed, score=score)
        for name, scores in (("a", (0.7, 0.9)), ("b", (0.85, 0.85)), ("c", (0.6, 0.6)))
        for seed, score in enumerate(scores)
    ]
    variants = pooled(runs)
    assert [variant.chosen for variant in variants] == [False, True, False]  # 0.85 beats the mean of 0.7 and 0.9
    assert [variant.name for variant in pooled(runs, most=2)] == ["model=a", "model=b"]
    mixed = [replace(run, result=replace(run.result, objective=Objective("val_loss", "min"))) for run in runs[:2]]
    assert not any(variant.chosen for variant in pooled([*mixed, *runs[2:]]))


def test_the_same_test_images_are_what_counts_and_not_the_training(outputs: Outputs) -> None:
    a, b = outputs.run("a", digest="aaaa"), outputs.run("b", digest="bbbb", model_name="b")
    assert a.result.data.digest != b.result.data.digest
    assert require_same_test([a, b]) == a.test == b.test


def test_other_test_images_are_refused_by_name_even_where_they_are_called_the_same(outputs: Outputs) -> None:
    runs = [outputs.run("a"), outputs.run("b", model_name="b"), outputs.run("stranger", content="other ")]
    with pytest.raises(DataError, match=r"Received: 1 of 3 runs with another test split(.|\n)*stranger, chests, 200"):
        compared(runs, PROOF)


def test_a_comparison_of_runs_decides_with_each_runs_own_threshold(outputs: Outputs) -> None:
    same = outputs.bench.model()
    low = outputs.run("a", predictions=same, threshold=0.2)
    high = outputs.run("b", predictions=same, threshold=0.8, model_name="b")
    found = compared([low, high], PROOF.model_copy(update={"metric": "sensitivity"}))
    assert found.leader.run_ids == ("a",)
    assert found.leader.estimate.value == np.mean(same.scores[same.labels == 1] >= 0.2)
    assert found.pairs[0].found.b.value == np.mean(same.scores[same.labels == 1] >= 0.8)


def test_the_metric_is_what_runs_were_selected_by_and_never_a_loss() -> None:
    assert default_metric(Objective("val_balanced_accuracy", "max")) == "balanced_accuracy"
    assert default_metric(Objective("val_loss", "min")) == "auc"


def test_a_reference_may_be_named_by_the_beginning_of_a_run_id(outputs: Outputs) -> None:
    runs = [outputs.run(f"{name}123456", model_name=name) for name in "abc"]
    found = compared(runs, PROOF.model_copy(update={"reference": "b1234"}))
    assert found.reference == "model=b"
    assert len(found.pairs) == 2
    with pytest.raises(ConfigError, match=r"proof.reference: Unknown variant. Received: 'z'.*model=a, model=b"):
        compared(runs, PROOF.model_copy(update={"reference": "z"}))


def test_runs_are_found_by_the_beginning_of_their_id_or_their_folder(outputs: Outputs) -> None:
    outputs.run("aabbcc01")
    outputs.run("aabbcc02")
    moved = write_tested_run(outputs.folder / "elsewhere" / "ffff", outputs.bench.model(), settings=config())
    files = outputs.files
    assert files.resolve("aabbcc02") == "aabbcc02"
    assert files.resolve(str(moved)) == "ffff"
    assert files.find("ffff", "result.json") == moved / "result.json"
    with pytest.raises(ConfigError, match=r"2 runs begin so.*aabbcc0"):
        files.resolve("aabbcc")
    with pytest.raises(ConfigError, match="needs at least 6 characters"):
        files.resolve("aab")
    with pytest.raises(ConfigError, match=r"Unknown run. Received: 'dddddd'.*The latest: aabbcc0.*no such file"):
        files.resolve("dddddd")


def test_a_run_that_was_validated_only_has_nothing_to_compare(outputs: Outputs) -> None:
    outputs.run("a")
    (outputs.folder / "runs" / "a" / "predictions" / "test.csv").unlink()
    assert read_tested("a", outputs.files) is None
