"""Data options through whole trainings, as a user gives them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import TINY, Script

from medexp.registry.bundle import Bundle

SMALL = [item for item in TINY if not item.startswith("data.")]


def result(outputs: Path) -> tuple[Path, dict[str, object]]:
    """The folder and the result of the newest run."""
    path = max(outputs.glob("runs/*/result.json"), key=lambda path: path.stat().st_mtime)
    return path.parent, json.loads(path.read_text())


def splits(folder: Path) -> dict[str, str]:
    with (folder / "split.csv").open() as file:
        return {row["image"]: row["split"] for row in csv.DictReader(file)}


@pytest.mark.slow
def test_folds_test_the_same_images_and_a_split_is_used_again(script: Script, outputs: Path) -> None:
    swept = script("train", "-m", *TINY, "data.fold=0,1", "data.split.folds=2", f"paths.outputs={outputs}")
    assert swept.returncode == 0, swept.stderr
    folds = [splits(path.parent) for path in outputs.glob("runs/*/result.json")]
    parts = [{split: {key for key, at in fold.items() if at == split} for split in ("train", "val", "test")}
             for fold in folds]  # fmt: skip
    assert parts[0]["test"] == parts[1]["test"]
    assert (parts[0]["train"], parts[0]["val"]) == (parts[1]["val"], parts[1]["train"])

    first, made = result(outputs)
    again = script("train", *TINY, f"data.split_file={first / 'split.csv'}", f"paths.outputs={outputs}", "logger=none")
    assert again.returncode == 0, again.stderr
    folder, repeated = result(outputs)
    assert folder != first
    assert repeated["data"]["split"] == made["data"]["split"]  # type: ignore[index]


@pytest.mark.slow
def test_a_set_that_is_too_large_for_the_cache_trains_to_the_same_numbers(script: Script, outputs: Path) -> None:
    metrics = []
    for gigabytes in ("50", "0"):
        done = script("train", *TINY, f"data.cache.max_gb={gigabytes}", f"paths.outputs={outputs}", "logger=none")
        assert done.returncode == 0, done.stderr
        metrics.append(result(outputs)[1]["metrics"])
    for name, value in metrics[0].items():  # type: ignore[attr-defined]
        if name not in ("epoch_seconds", "seconds"):
            assert metrics[1][name] == value, name  # type: ignore[index]


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """16-bit images of two classes that 8 bits cannot tell apart, two of a patient, and one that is damaged."""
    rng = np.random.default_rng(0)
    lines = ["image,label,patient,site"]
    for i in range(60):
        sick = i // 2 % 2
        pixels = 30000 + rng.integers(0, 20, (32, 32))
        pixels[8:24, 8:24] += 60 * sick
        Image.fromarray(pixels.astype(np.uint16)).save(tmp_path / f"{i:02d}.png")
        lines.append(f"{i:02d}.png,{'sick' if sick else 'well'},p{i // 2},{'north' if i % 3 else 'south'}")
    (tmp_path / "60.png").write_bytes(b"damaged")
    (tmp_path / "m.csv").write_text("\n".join([*lines, "60.png,well,p99,north"]))
    return tmp_path


@pytest.mark.slow
def test_sixteen_bits_reach_the_network_and_the_service_decodes_them_alike(
    deep: Path, script: Script, outputs: Path
) -> None:
    command = [
        "data=manifest", f"data.manifest={deep / 'm.csv'}", "data.group_column=patient", "data.positive=sick",
        "data.input.height=32", "data.input.channels=1", "data.input.intensity=window",
        "data.input.window=[30040,200]", "data.audit=warn", "data.aug=none", *SMALL, f"paths.outputs={outputs}",
        "logger=none",
    ]  # fmt: skip
    done = script("train", *command)
    assert done.returncode == 0, done.stderr
    assert "cannot be read: 1 of 61 images" in done.stderr
    folder, made = result(outputs)
    assert made["data"]["input"]["bits"] == 16  # type: ignore[index]
    bundle = Bundle.open(folder / "bundle")
    with (folder / "predictions" / "test.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["meta(site)"] for row in rows} <= {"north", "south"}
    for row in rows:
        served = bundle.classify((deep / row["image"]).read_bytes()).probabilities["sick"]
        assert served == pytest.approx(float(row["p(sick)"]), abs=1e-5)
    assert len({round(float(row["p(sick)"]), 4) for row in rows}) > 1


def test_strict_names_the_damaged_file(deep: Path, script: Script, outputs: Path) -> None:
    done = script(
        "audit", "data=manifest", f"data.manifest={deep / 'm.csv'}", "data.group_column=patient",
        "data.positive=sick", "data.input.height=32", "data.input.channels=1", f"paths.outputs={outputs}",
        "logger=none",
    )  # fmt: skip
    assert done.returncode == 1
    assert "60.png" in done.stderr
    assert "Traceback" not in done.stderr
