"""The configuration of a run, read back from what the run recorded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir

from medexp.config.find_run import find_run
from medexp.config.load import load, load_reproduce
from medexp.config.register import CONF, ROOT, register
from medexp.config.run_argument import expand_resume, expand_run
from medexp.config.saved import load_saved
from medexp.config.schema import SweepConfig, TrainConfig
from medexp.errors import ConfigError
from medexp.experiment.record import record
from medexp.tracking.null_tracker import NullTracker

ID = "12e4567890abcdef1234567890abcdef"


@pytest.fixture(scope="module", autouse=True)
def _hydra() -> Iterator[None]:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def write_run(outputs: Path, *overrides: str, run_id: str = ID) -> tuple[Path, TrainConfig]:
    """The folder that a run leaves, written by the code that writes it, and its configuration: without a search."""
    config = load(compose("train", overrides=[f"paths.outputs={outputs}", *overrides]))
    with NullTracker().start(config.name, below=outputs / "runs") as run:
        record(config, run, run.folder)
    return run.folder.rename(outputs / "runs" / run_id), config.model_copy(update={"search": None})


def read_back(folder: Path, *overrides: str) -> TrainConfig:
    """What `python scripts/train.py resume=<folder> <overrides>` reads."""
    arguments = expand_resume([f"resume={folder}", *overrides])
    return load_saved(folder, compose("train", overrides=arguments), overrides=arguments)


def edit(folder: Path, change: Any) -> None:
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    change(saved)
    (folder / "config.yaml").write_text(yaml.safe_dump(saved))


@pytest.mark.parametrize(
    "overrides",
    [
        ("optimizer.learning_rate=1e-5", "model.filters=[8,8]", "seed=7", "callbacks=none", "sweep.parent=abc"),
        ("data=pneumoniamnist", "data.aug=strong", "model=efficientnet", "logger=none"),
        ("data=folder", "data.root=/images", "data.positive=1", "objective.mode=min", "objective.metric=val_loss"),
    ],
)
def test_a_run_is_read_back_as_it_was_configured(overrides: tuple[str, ...], tmp_path: Path) -> None:
    folder, config = write_run(tmp_path / "outputs", *overrides)
    assert read_back(folder) == config


def test_a_trial_that_is_trained_by_hand_is_not_told_to_its_study(tmp_path: Path) -> None:
    trial = (
        "sweep.parent=abc", "sweep.study=s", "sweep.storage=postgresql://me:secret@host/db", "sweep.trial=3",
        "sweep.export=false", "sweep.folds=true",
    )  # fmt: skip
    folder, _ = write_run(tmp_path / "outputs", *trial)
    assert "secret" not in (folder / "config.yaml").read_text()
    assert read_back(folder).sweep == SweepConfig(parent="abc", export=False, folds=True)


def test_a_run_of_before_there_were_studies_is_read(tmp_path: Path) -> None:
    folder, config = write_run(tmp_path / "outputs")
    edit(folder, lambda saved: saved.update(sweep={"parent": None}))
    assert read_back(folder) == config


def test_a_run_that_is_older_than_a_key_of_the_model_card_has_not_said_it(tmp_path: Path) -> None:
    folder, _ = write_run(tmp_path, "card.contact=us", "card.license=ours")
    edit(folder, lambda saved: saved["card"].pop("license"))
    assert read_back(folder).card.license is None
    assert read_back(folder).card.contact == "us"


def test_places_win_over_the_saved_ones(tmp_path: Path) -> None:
    folder, config = write_run(tmp_path / "outputs", "data=folder", "data.root=/images", "seed=3")
    config = read_back(
        folder,
        "data.root=/moved/images",
        "data.workers=4",
        "data.cache.max_gb=1",
        "runtime.console_level=ERROR",
        "tracking.uri=http://127.0.0.1:5000",
    )
    assert config.data.source["root"] == "/moved/images"
    assert (config.data.workers, config.data.cache.max_gb, config.runtime.console_level) == (4, 1, "ERROR")
    assert config.tracking.uri == config.logger["uri"] == "http://127.0.0.1:5000"
    assert config.seed == 3


def test_what_would_have_no_effect_is_refused_all_at_once(tmp_path: Path) -> None:
    folder, _ = write_run(tmp_path / "outputs")
    with pytest.raises(ConfigError, match="has 3 problems") as caught:
        expand_resume([f"resume={folder}", "seed=1", "model=efficientnet", "trainer.max_epoch=2", "data.workers=2"])
    for text in ("seed=1: would have no effect", "model=efficientnet: would", "trainer.max_epoch=2: would"):
        assert text in str(caught.value)
    with pytest.raises(ConfigError, match="has 2 problems") as caught:
        read_back(folder, "data.patients=3", "data.root=/x")
    assert "data.patients: would have no effect" in str(caught.value)
    assert "data.root: the run has no such key. There is: " in str(caught.value)


@pytest.mark.parametrize("arguments", [["-m", f"resume={ID}"], ["--multirun", f"resume={ID},{ID}"]])
def test_a_resumed_run_is_not_swept(arguments: list[str]) -> None:
    with pytest.raises(ConfigError, match="it cannot be swept"):
        expand_resume(arguments)
    with pytest.raises(ConfigError, match="resume: continues one run by that run's own configuration"):
        load(compose("train", overrides=[f"resume='{ID}'"]))


def test_an_id_that_looks_like_a_number_stays_an_id(tmp_path: Path) -> None:
    folder, _ = write_run(tmp_path / "outputs")
    for name in ("12e456", "12e4567890", ID):
        cfg = compose("train", overrides=[*expand_resume([f"resume={name}"]), f"paths.outputs={tmp_path / 'outputs'}"])
        assert find_run(str(cfg.resume), outputs=Path(cfg.paths.outputs), key="resume") == folder


def test_a_folder_with_signs_of_hydras_grammar_in_its_name(tmp_path: Path) -> None:
    write_run(tmp_path / "outputs")
    folder = (tmp_path / "outputs").rename(tmp_path / "a=b, 'c' (d)") / "runs" / ID
    assert compose("train", overrides=expand_resume([f"resume={folder}"])).resume == str(folder)
    assert find_run(str(folder), outputs=tmp_path, key="resume") == folder


def test_without_resume_a_command_line_stays_as_it_is() -> None:
    for arguments in (["seed=1", "-m", "data.aug=none,light"], ["resume=null", "seed=1"], ["--cfg", "job"]):
        assert expand_resume(arguments) == arguments


def test_an_unknown_run_names_the_nearest_and_the_latest(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    with pytest.raises(ConfigError, match="There is no run yet"):
        find_run("abcdefgh", outputs=outputs, key="resume")
    write_run(outputs)
    write_run(outputs, run_id=f"{ID[:10]}000000")
    with pytest.raises(ConfigError, match=f"Unknown run. Received: '{ID[:-1]}0'.*Did you mean '{ID}'"):
        find_run(f"{ID[:-1]}0", outputs=outputs, key="resume")
    with pytest.raises(ConfigError, match=f"The latest: .*{ID}"):
        find_run("zzzzzz", outputs=outputs, key="resume")
    with pytest.raises(ConfigError, match="2 runs begin so"):
        find_run(ID[:6], outputs=outputs, key="resume")
    with pytest.raises(ConfigError, match="at least 6 characters"):
        find_run(ID[:5], outputs=outputs, key="resume")
    with pytest.raises(ConfigError, match=r"which has no config\.yaml"):
        find_run(str(outputs), outputs=outputs, key="resume")
    with pytest.raises(ConfigError, match="which does not exist"):
        find_run("./nowhere", outputs=outputs, key="resume")


def test_moved_outputs_take_cache_store_and_images_along(tmp_path: Path) -> None:
    _, before = write_run(tmp_path / "outputs")
    (tmp_path / "outputs" / "mlflow.db").touch()
    shutil.move(tmp_path / "outputs", tmp_path / "elsewhere")
    moved = read_back(tmp_path / "elsewhere" / "runs" / ID)
    assert moved.paths.outputs == tmp_path / "elsewhere"
    assert moved.tracking.uri == moved.logger["uri"] == f"sqlite:///{tmp_path}/elsewhere/mlflow.db"
    assert moved.data.cache.folder == tmp_path / "elsewhere" / "cache"
    assert moved.data.source["folder"] == str(tmp_path / "elsewhere" / "cache" / "phantom")
    assert {"paths", "tracking", "data", "logger"} == {
        key for key in TrainConfig.model_fields if getattr(moved, key) != getattr(before, key)
    }


def test_a_copied_run_folder_keeps_the_store_that_knows_it(tmp_path: Path) -> None:
    folder, _ = write_run(tmp_path / "outputs")
    (tmp_path / "outputs" / "mlflow.db").touch()
    shutil.copytree(folder, tmp_path / "copy" / "runs" / ID)
    assert read_back(tmp_path / "copy" / "runs" / ID).tracking.uri == f"sqlite:///{tmp_path}/outputs/mlflow.db"


def test_a_moved_checkout_takes_its_data_along(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    images, kept = old / "datasets" / "images", tmp_path / "kept"
    for path in (images, kept):
        path.mkdir(parents=True)
    folder, _ = write_run(
        tmp_path / "outputs", f"paths.root={old}", "data=folder", f"data.root={images}", f"data.split_file={kept}/s.csv"
    )
    shutil.move(old, new)
    config = read_back(folder, f"paths.root={new}")
    assert (config.paths.root, config.paths.datasets) == (new, new / "datasets")
    assert config.data.source["root"] == str(new / "datasets" / "images")
    assert config.data.split_file == f"{kept}/s.csv"
    assert read_back(folder).paths.root == ROOT


def test_a_relative_path_is_meant_from_where_the_run_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
    folder, _ = write_run(tmp_path / "outputs", "data=folder", "data.root=images")
    monkeypatch.chdir(ROOT)
    assert read_back(folder).data.source["root"] == str(tmp_path / "images")


def test_a_password_comes_from_the_command_line(tmp_path: Path) -> None:
    secret = "postgresql://me:s3cret@host/db"
    folder, _ = write_run(tmp_path / "outputs", f"tracking.uri={secret}")
    assert "s3cret" not in (folder / "config.yaml").read_text()
    with pytest.raises(ConfigError, match="has 1 problem") as caught:
        read_back(folder)
    assert "tracking.uri: the run did not record its password" in str(caught.value)
    assert "Override: tracking.uri=..." in str(caught.value)
    config = read_back(folder, f"tracking.uri={secret}")
    assert config.tracking.uri == config.logger["uri"] == secret


def test_a_password_comes_from_a_composition_that_is_the_same_but_for_it(tmp_path: Path) -> None:
    secret = "postgresql://me:s3cret@host/db"
    folder, _ = write_run(tmp_path / "outputs", f"tracking.uri={secret}")
    config = load_saved(folder, compose("train", overrides=[f"tracking.uri={secret}"]), overrides=[])
    assert config.tracking.uri == config.logger["uri"] == secret
    with pytest.raises(ConfigError, match="did not record its password"):
        load_saved(folder, compose("train", overrides=[f"tracking.uri={secret}2"]), overrides=[])


def test_a_configuration_of_an_older_medexp_names_the_commit_that_wrote_it(tmp_path: Path) -> None:
    folder, _ = write_run(tmp_path / "outputs")
    commit = json.loads((folder / "environment.json").read_text())["git_commit"]

    def older(saved: dict[str, Any]) -> None:
        del saved["finetuning"]
        saved["trainer"]["max_epoch"] = saved["trainer"].pop("max_epochs")

    edit(folder, older)
    with pytest.raises(ConfigError) as caught:
        read_back(folder)
    text = str(caught.value)
    assert "does not understand the configuration" in text
    assert (f"git checkout {commit}" in text) or commit is None
    for problem in ("finetuning: ", "trainer.max_epoch: ", "trainer.max_epochs: "):
        assert problem in text


@pytest.mark.parametrize("text", ["- 1", "a: [", "a: 1"])
def test_a_damaged_configuration_is_named(text: str, tmp_path: Path) -> None:
    folder, _ = write_run(tmp_path / "outputs")
    (folder / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        read_back(folder)


def test_reproduce_takes_the_run_by_itself(tmp_path: Path) -> None:
    (tmp_path / "a=b").mkdir()
    for argument in ("12e456", str(tmp_path / "a=b"), "run=12e456"):
        config = load_reproduce(compose("reproduce", overrides=expand_run([argument, "data.root=/x", "accept=[code]"])))
        assert (config.run, config.accept) == (argument.removeprefix("run="), ["code"])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["abcdef", "seed=1"], "seed=1: would have no effect"),
        (["abcdef", "ghijkl"], "run: names one run. Received: abcdef ghijkl."),
        (["-m", "abcdef"], "-m: one run is reproduced at a time"),
    ],
)
def test_reproduce_refuses_what_has_no_effect(arguments: list[str], text: str) -> None:
    with pytest.raises(ConfigError, match=r"has 1 problem:\n") as caught:
        expand_run(arguments)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "text"),
    [([], "run: which run"), (["run=abcdef", "accept=[all]"], "accept.0: input should be 'code'")],
)
def test_reproduce_says_what_it_needs(overrides: list[str], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_reproduce(compose("reproduce", overrides=overrides))
    assert text in str(caught.value)
