"""Findings and grades from a manifest to a bundle, as a user trains them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import Script

from medexp.registry.bundle import Bundle

FINDINGS, GRADES = ("box", "column", "row"), ("none", "mild", "moderate", "severe")
SMALL = (
    "data=manifest", "data.group_column=patient", "data.metadata_columns=[site]", "data.input.height=16",
    "data.input.channels=1", "data.audit=off", "augmentation=none", "model.filters=[8]", "trainer.max_epochs=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise with a box, a column and a row, any of them, and a bar as long as the grade."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    rows = []
    for n in range(96):
        pixels, has, grade = rng.normal(100, 12, (16, 16)), rng.random(3) < 0.4, int(rng.integers(0, 4))
        pixels[1:5, 1:5] += 70 * has[0]
        pixels[:, 12] += 70 * has[1]
        pixels[13, :] -= 70 * has[2]
        pixels[8:10, 2 : 2 + 3 * grade] += 70
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{n}.png")
        found = "|".join(name for name, value in zip(FINDINGS, has, strict=True) if value)
        rows.append({"image": f"{n}.png", "found": found, "grade": GRADES[grade], "site": "AB"[n % 2], "patient": n})
    with (folder / "list.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    return folder / "list.csv"


def trained(script: Script, outputs: Path, *arguments: str) -> tuple[Path, str]:
    """The run's folder, and what was printed."""
    done = script("train", f"paths.outputs={outputs}", *SMALL, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (outputs / "runs").iterdir()
    return folder, done.stdout


def predicted(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions" / "test.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_findings_are_trained_measured_and_exported(script: Script, outputs: Path, manifest: Path) -> None:
    folder, printed = trained(
        script, outputs, f"data.manifest={manifest}", "data.label_column=found", "data.label_separator='|'"
    )
    result = json.loads((folder / "result.json").read_text())
    assert (result["data"]["task"], sorted(result["data"]["class_names"])) == ("multilabel", sorted(FINDINGS))
    metrics = result["metrics"]
    assert {"val_auc", "val_accuracy", "test_auc", "test_subset_accuracy", "test_auc/box"} <= metrics.keys()
    assert np.isfinite(list(metrics.values())).all()
    bundle = Bundle.open(folder / "bundle")
    assert bundle.passport.thresholds == {name: metrics[f"threshold/{name}"] for name in bundle.passport.class_names}
    rows = predicted(folder)
    assert {row["meta(site)"] for row in rows} == {"A", "B"}
    for row in rows[:5]:  # what is served is what was measured
        answer = bundle.classify((manifest.parent / row["image"]).read_bytes())
        assert [row[f"decision({name})"] for name in FINDINGS] == [str(int(n in answer.labels)) for n in FINDINGS]
        assert answer.probabilities["row"] == pytest.approx(float(row["p(row)"]), abs=1e-5)
    assert "Each class has its own threshold" in printed
    assert len(list((folder / "plots").glob("*.png"))) >= 4


@pytest.mark.slow
def test_grades_are_trained_measured_and_exported(script: Script, outputs: Path, manifest: Path) -> None:
    folder, printed = trained(
        script, outputs, f"data.manifest={manifest}", "data.label_column=grade", "data.task=ordinal",
        f"data.classes=[{','.join(GRADES)}]",
    )  # fmt: skip
    result = json.loads((folder / "result.json").read_text())
    assert (result["data"]["task"], result["data"]["class_names"]) == ("ordinal", list(GRADES))
    assert {"val_auc", "val_accuracy", "test_quadratic_kappa", "test_mean_absolute_error"} <= result["metrics"].keys()
    bundle = Bundle.open(folder / "bundle")
    assert (bundle.passport.class_names, dict(bundle.passport.thresholds)) == (GRADES, {})
    for row in predicted(folder)[:5]:
        answer = bundle.classify((manifest.parent / row["image"]).read_bytes())
        assert answer.label == row["decision"]
        assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert "Grades in order: none, mild, moderate, severe." in printed
