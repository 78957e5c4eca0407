"""A run is trained again from what it recorded, by the real commands, and refused where something has changed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from support import TINY, Script

from medexp.config.register import CONF, register
from medexp.config.saved import load_saved
from medexp.config.schema import TrainConfig
from medexp.errors import ConfigError, DataError

NETWORK = [override for override in TINY if override.startswith(("data.input", "model.", "trainer."))]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@x", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@dataclass(frozen=True)
class Original:
    """A finished run of real images, and the checkout that it was trained in."""

    folder: Path
    checkout: Path
    images: Path

    @property
    def outputs(self) -> Path:
        return self.folder.parent.parent

    @property
    def overrides(self) -> list[str]:
        return [*self.places, f"++data.manifest={self.images / 'manifest.csv'}"]

    @property
    def config(self) -> TrainConfig:
        """The run's own, with its checkout and images as they are here."""
        register()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            current = compose("reproduce", overrides=self.overrides)
        return load_saved(self.folder, current, overrides=self.overrides)

    @property
    def places(self) -> tuple[str, str]:
        return (f"paths.outputs={self.outputs}", f"paths.root={self.checkout}")

    @property
    def commit(self) -> str:
        return git(self.checkout, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def original(script: Script, tmp_path_factory: pytest.TempPathFactory) -> Original:
    from medexp.data.phantom import PhantomSource

    base = tmp_path_factory.mktemp("reproduce")
    checkout = base / "checkout"
    checkout.mkdir()
    git(checkout, "init", "-q")
    (checkout / "code.py").write_text("a = 1\n")
    (checkout / "requirements.lock").write_text("numpy==2\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "a")
    PhantomSource(folder=str(base / "images"), patients=40, size=32, contrast=1.5, seed=0).prepare()
    (manifest,) = (base / "images").rglob("manifest.csv")
    data = ("data=manifest", f"data.manifest={manifest}", "data.group_column=patient_id", "data.positive=nodule")
    places = (f"paths.outputs={base / 'outputs'}", f"paths.root={checkout}")
    done = script("train", *data, *NETWORK, *places, "data.audit=off", "data.aug=strong", "seed=5")
    assert done.returncode == 0, done.stderr
    (folder,) = (base / "outputs" / "runs").iterdir()
    return Original(folder, checkout, manifest.parent)


@pytest.fixture
def run(original: Original, tmp_path: Path) -> Original:
    """A copy of the run, its checkout and its images, to change at will."""
    outputs = tmp_path / "outputs"
    shutil.copytree(original.folder, outputs / "runs" / original.folder.name)
    shutil.copytree(original.checkout, tmp_path / "checkout")
    shutil.copytree(original.images, tmp_path / "images")
    return Original(outputs / "runs" / original.folder.name, tmp_path / "checkout", tmp_path / "images")


@pytest.fixture
def refusal(run: Original) -> Callable[..., str]:
    """What `python scripts/reproduce.py <run>` refuses with."""
    from medexp.experiment.reproduce import reproduce

    def refused(*accept: str) -> str:
        with pytest.raises(ConfigError) as caught:
            reproduce(run.folder, run.config, accept=accept)
        return str(caught.value)

    return refused


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_run_is_reproduced_bit_for_bit_as_a_run_of_its_own(original: Original, script: Script) -> None:
    from medexp.tracking.store import open_client

    done = script("reproduce", original.folder.name[:8], *original.places)
    assert done.returncode == 0, done.stderr
    (again,) = [path for path in original.folder.parent.iterdir() if path != original.folder]
    sentence = f"bit-identical: run {again.name} repeats run {original.folder.name}"
    assert done.stdout.splitlines()[-1] == sentence
    found = json.loads((again / "reproduction.json").read_text())
    assert (found["identical"], found["sentence"], found["accepted"]) == (True, sentence, [])
    assert [part["name"] for part in found["parts"]] == [
        "history", "best epoch", "best.weights.h5", "predictions of val", "predictions of test", "metrics",
    ]  # fmt: skip
    assert (again / "best.weights.h5").read_bytes() != b""
    recorded = open_client(f"sqlite:///{original.outputs}/mlflow.db", create=False).get_run(again.name)
    assert recorded.info.run_name == "simple_cnn-manifest-strong (reproduction)"
    assert recorded.data.tags["medexp.reproduces"] == original.folder.name
    assert recorded.data.tags["medexp.reproduction"] == "bit-identical"
    shutil.rmtree(again)


def test_nothing_changed_is_no_difference(run: Original, refusal: Callable[..., str]) -> None:
    (run.folder / "config.yaml").write_text((run.folder / "config.yaml").read_text() + "\n")
    text = refusal()
    assert "1 thing is no longer as it was" in text
    assert "1. config: config.yaml was changed after the run began" in text


def test_another_image_is_named(run: Original, refusal: Callable[..., str]) -> None:
    first, second = sorted(run.images.rglob("*.png"))[:2]
    shutil.copy(second, first)
    text = refusal("code", "packages", "machine", "config")
    assert "1 thing is no longer as it was" in text
    assert f"data: manifest: 1 images: other content ({first.relative_to(run.images)})" in text
    assert "accept=[data]" in text


def test_images_that_are_gone_are_a_difference_like_any_other(run: Original, refusal: Callable[..., str]) -> None:
    (run.images / "manifest.csv").unlink()
    assert "data: it cannot be set up: " in refusal()


def test_another_label_is_named(run: Original, refusal: Callable[..., str]) -> None:
    header, first, *rest = (run.images / "manifest.csv").read_text().splitlines()
    other = first.replace("nodule", "?").replace("clear", "nodule").replace("?", "clear")
    (run.images / "manifest.csv").write_text("\n".join([header, other, *rest]))
    assert "images: another label (" in refusal()


def test_changed_code_is_named_with_its_files(run: Original, refusal: Callable[..., str]) -> None:
    (run.checkout / "code.py").write_text("a = 2\n")
    (run.checkout / "new.py").write_text("b = 1\n")
    text = refusal()
    assert "code: files here differ from their commit: code.py, new.py" in text
    assert "git stash --include-untracked" in text
    assert "accept=[code]" in text


def test_another_commit_is_named_with_the_command_that_goes_back(run: Original, refusal: Callable[..., str]) -> None:
    before = run.commit
    git(run.checkout, "commit", "-qm", "b", "--allow-empty")
    text = refusal()
    assert f"code: the run had commit {before}, here is {run.commit}\n     git checkout {before}" in text


def test_the_changes_of_a_run_are_applied_from_its_patch(run: Original, refusal: Callable[..., str]) -> None:
    from medexp.tracking.code_state import code_patch, code_state

    (run.checkout / "code.py").write_text("a = 2\n")
    state, patch = code_state(run.checkout), code_patch(run.checkout)
    edit_json(run.folder / "environment.json", git_dirty=True, git_digest=state.digest, git_changes=list(state.changes))
    (run.folder / "code.patch").write_text(patch or "")
    git(run.checkout, "checkout", "-q", "code.py")
    text = refusal()
    assert "code: the run had changes beside its commit: code.py" in text
    assert f"git apply {run.folder / 'code.patch'}" in text
    git(run.checkout, "apply", str(run.folder / "code.patch"))
    (run.folder / "config.yaml").write_text((run.folder / "config.yaml").read_text() + "\n")
    assert "code: " not in refusal()
    (run.checkout / "code.py").write_text("a = 3\n")
    assert "otherwise than the run's: code.py" in refusal()


def test_every_difference_is_listed_at_once(run: Original, refusal: Callable[..., str]) -> None:
    facts = json.loads((run.folder / "environment.json").read_text())
    (run.checkout / "requirements.lock").write_text("numpy==1\n")
    git(run.checkout, "commit", "-qam", "b")
    edit_json(
        run.folder / "environment.json",
        seed=6,
        packages={**facts["packages"], "numpy": "1.0", "gone": "2.0"},
        machine={**facts["machine"], "cores": 1, "device": "gpu", "processor": "Another", "variables": {"X": "1"}},
    )
    (run.images / "manifest.csv").unlink()
    text = refusal()
    for line in (
        "code: the run had commit",
        "packages: requirements.lock is another\n     git checkout",
        "packages: the run had numpy 1.0 (here 2.",
        "gone 2.0 (here not installed)\n     make install; or pip install numpy==1.0 gone==2.0",
        "machine: processor: the run had Another",
        "machine: device: the run had gpu, here is cpu",
        "machine: variables: the run had X=1, here is none\n     export X=1",
        "config: the run had seed 6, config.yaml says 5",
        "data: it cannot be set up",
        "accept=[code,packages,machine,config,data]",
    ):
        assert line in text
    assert ("machine: cores: the run had 1" in text) == (facts["machine"]["cores"] != 1)
    assert "code: " not in refusal("code")


def test_an_interrupted_run_is_refused(run: Original, refusal: Callable[..., str]) -> None:
    (run.folder / "result.json").unlink()
    (run.folder / "history.csv").unlink()
    assert f"python scripts/train.py resume={run.folder.name}" in refusal()


def test_two_runs_are_compared_number_by_number(run: Original, original: Original) -> None:
    import h5py

    from medexp.experiment.reproduced import compare_runs

    assert all(part.same for part in compare_runs(original.folder, run.folder))
    with h5py.File(run.folder / "best.weights.h5", "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
        file[names[0]][...] += 0.25
    lines = (run.folder / "history.csv").read_text().splitlines()
    titles, second = lines[0].split(","), lines[2].split(",")
    second[titles.index("val_loss")] = str(float(second[titles.index("val_loss")]) + 0.5)
    second[next(i for i, title in enumerate(titles) if "seconds" in title)] = "1e9"
    (run.folder / "history.csv").write_text("\n".join([*lines[:2], ",".join(second)]) + "\n")
    table = (run.folder / "predictions" / "test.csv").read_text().splitlines()
    titles, first = table[0].split(","), table[1].split(",")
    first[titles.index("p(nodule)")] = "2"
    (run.folder / "predictions" / "test.csv").write_text("\n".join([table[0], ",".join(first), *table[2:]]) + "\n")
    result = json.loads((run.folder / "result.json").read_text())
    result["metrics"]["test_auc"] -= 0.125
    (run.folder / "result.json").write_text(json.dumps(result))
    parts = {part.name: part for part in compare_runs(original.folder, run.folder)}
    assert [name for name, part in parts.items() if part.same] == ["best epoch", "predictions of val"]
    assert (parts["history"].detail, parts["history"].largest) == ("from epoch 2 on: val_loss", pytest.approx(0.5))
    (layer,) = parts["best.weights.h5"].by_layer.values()
    assert layer == pytest.approx(0.25, abs=1e-6)
    assert parts["predictions of test"].largest is not None
    assert parts["predictions of test"].largest > 1
    assert "p(nodule)" in parts["predictions of test"].detail
    assert (parts["metrics"].largest, "test_auc" in parts["metrics"].detail) == (pytest.approx(0.125), True)


def test_a_finished_run_is_not_resumed(original: Original, script: Script) -> None:
    done = script("train", f"resume={original.folder.name[:6]}", *original.places)
    assert done.returncode == 1
    assert f"python scripts/reproduce.py {original.folder.name}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_command_line_is_a_sentence(script: Script, tmp_path: Path) -> None:
    for arguments, text in (
        ((), "run: which run?"),
        (("abcdef", "trainer.max_epochs=1"), "trainer.max_epochs=1: would have no effect"),
        (("abcdef", f"paths.outputs={tmp_path}"), "There is no run yet"),
    ):
        done = script("reproduce", *arguments)
        assert done.returncode == 1
        assert text in done.stderr
        assert "Traceback" not in done.stderr


def test_a_run_does_not_go_on_with_other_images(run: Original) -> None:
    from medexp.experiment.data import data_module
    from medexp.experiment.resumed import refuse_other_data

    def data() -> Any:
        found = data_module(run.config.data, seed=5)
        found.setup()
        return found

    refuse_other_data(data(), run.folder / "split.csv")
    first, second = sorted(run.images.rglob("*.png"))[:2]
    shutil.copy(second, first)
    with pytest.raises(DataError, match=f"1 images: other content .{first.relative_to(run.images)}"):
        refuse_other_data(data(), run.folder / "split.csv")
    refuse_other_data(data(), run.folder / "not_yet.csv")


def test_a_run_that_went_on_with_other_code_says_so(
    run: Original, refusal: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    from medexp.experiment.resumed import record_resume
    from medexp.tracking.null_tracker import NullTracker

    with NullTracker().start("x", below=run.outputs / "runs") as open_run:
        record_resume(run.config, open_run, run.folder)
        assert "resumed with other" not in caplog.text
        (run.checkout / "code.py").write_text("a = 2\n")
        record_resume(run.config, open_run, run.folder)
    assert "resumed with other code: files here differ from their commit: code.py" in caplog.text
    git(run.checkout, "checkout", "-q", "code.py")
    text = refusal()
    assert "1 thing is no longer as it was" in text
    assert "code: resumption 2 of the run was elsewhere: files there differ from their commit: code.py" in text


@pytest.mark.slow
def test_what_is_accepted_is_trained_and_a_difference_ends_with_1(run: Original, script: Script) -> None:
    (run.checkout / "code.py").write_text("a = 2\n")
    images = f"data.manifest={run.images / 'manifest.csv'}"
    refused = script("reproduce", str(run.folder), *run.places, images)
    assert refused.returncode == 1
    assert "code: files here differ from their commit: code.py" in refused.stderr
    accepted = script("reproduce", str(run.folder), *run.places, images, "accept=[code]")
    assert accepted.returncode == 0, accepted.stderr
    assert "(accepted: code)" in accepted.stdout.splitlines()[-1]
    result = json.loads((run.folder / "result.json").read_text())
    result["metrics"]["test_auc"] += 0.5
    (run.folder / "result.json").write_text(json.dumps(result))
    differs = script("reproduce", str(run.folder), *run.places, images, "accept=[code]")
    assert differs.returncode == 1
    assert differs.stdout.splitlines()[-1] == "differs: metrics by up to 5.0e-01 (accepted: code)"
