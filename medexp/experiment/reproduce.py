"""Train a run again from what it recorded, and say whether the two are the same."""

from __future__ import annotations

import json
import logging
import math
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medexp.config.saved import ENVIRONMENT, RESULT
from medexp.config.schema import SweepConfig, TrainConfig
from medexp.errors import ConfigError
from medexp.experiment.attempt import was_pruned
from medexp.experiment.data import data_module
from medexp.experiment.differences import (
    Difference,
    code_differences,
    config_differences,
    data_differences,
    machine_differences,
    package_differences,
    resumed_differences,
)
from medexp.experiment.record import CONFIG, no_code
from medexp.experiment.reproduced import Part, compare_runs
from medexp.experiment.train import SPLIT, train
from medexp.logs import FILE_ONLY
from medexp.tracking.base import Run
from medexp.tracking.environment import environment
from medexp.types import RunResult

logger = logging.getLogger(__name__)
REPRODUCTION = "reproduction.json"


@dataclass(frozen=True)
class Reproduction:
    """A run, its repetition, and how they compare.

    Args:
        reproduces: id of the run that was repeated.
        run_id: of the repetition.
        deterministic: whether the configuration asks for bit-identity at all.
        accepted: what was known not to be as it was.
        parts: what was compared.
    """

    reproduces: str
    run_id: str
    deterministic: bool
    accepted: tuple[Difference, ...]
    parts: tuple[Part, ...]

    @property
    def identical(self) -> bool:
        """Whether everything that was compared is the same to the last bit."""
        return all(part.same for part in self.parts)

    @property
    def sentence(self) -> str:
        """`bit-identical`, or `differs: ...`, for a person."""
        notes = [] if self.deterministic else ["runtime.deterministic=false promises no more"]
        notes += [f"accepted: {', '.join(sorted({d.kind for d in self.accepted}))}"] if self.accepted else []
        note = f" ({'; '.join(notes)})" if notes else ""
        if self.identical:
            return f"bit-identical: run {self.run_id} repeats run {self.reproduces}{note}"
        what = "; ".join(f"{part.name} {_largest(part)}".strip() for part in self.parts if not part.same)
        return f"differs: {what}{note}"


def reproduce(folder: Path, config: TrainConfig, *, accept: Sequence[str] = ()) -> Reproduction:
    """Train the run in `folder` again as a new run, and compare; `reproduction.json` of the new run has it.

    Args:
        folder: of the run.
        config: its configuration (`load_saved`).
        accept: kinds of differences in spite of which it is trained: code, packages, machine, config, data.

    Raises:
        ConfigError: the run left nothing to compare with, or something that is not accepted is no longer as it was;
            lists everything that is not, and what mends it.
    """
    then, result = _facts(folder)
    differences = find_differences(folder, config, then=then, result=result)
    refused = [difference for difference in differences if difference.kind not in accept]
    if refused:
        raise ConfigError(_refusal(folder, refused))
    for difference in differences:
        logger.warning("accepted: %s: %s", difference.kind, difference.text)
    repeated: list[Reproduction] = []

    def compare(result: RunResult, run: Run) -> None:
        reproduction = Reproduction(
            reproduces=str(then["run_id"]),
            run_id=run.id,
            deterministic=config.runtime.deterministic,
            accepted=tuple(differences),
            parts=compare_runs(folder, result.run_dir),
        )
        path = result.run_dir / REPRODUCTION
        path.write_text(json.dumps(_jsonable(reproduction), indent=2) + "\n")
        run.log_files(path)
        run.log_tags({"medexp.reproduction": "bit-identical" if reproduction.identical else "differs"})
        logger.info("%s", reproduction.sentence, extra=FILE_ONLY)
        repeated.append(reproduction)

    alone = SweepConfig(parent=None, export=config.sweep.export)
    again = config.model_copy(update={"name": f"{config.name} (reproduction)", "sweep": alone})
    tags = {"medexp.reproduces": str(then["run_id"]), "mlflow.source.name": "scripts/reproduce.py"}
    train(again, tags=tags, then=compare)
    _say(repeated[0])
    return repeated[0]


def find_differences(
    folder: Path, config: TrainConfig, *, then: dict[str, Any], result: dict[str, Any]
) -> list[Difference]:
    """Return all that is not as it was when the run in `folder` was trained: nothing is left out after the first."""
    from medexp.training import session

    with tempfile.TemporaryDirectory() as scratch:
        session.load_backend(config.runtime.backend, native_log=Path(scratch) / "native.log")  # tells the device
        now = environment(config.paths.root, ignore=no_code(config))
        return [
            *code_differences(then, now, folder),
            *package_differences(then, now),
            *machine_differences(then, now),
            *resumed_differences(then, folder),
            *config_differences(then, folder, seed=config.seed),
            *data_differences(
                result, folder, data_module(config.data, seed=config.seed), split_file=Path(scratch) / SPLIT
            ),
        ]


def _facts(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """`environment.json` and `result.json`, which may be missing where the training itself was finished."""
    if was_pruned(folder):
        raise ConfigError(
            f"The run was pruned, it has no result to compare with. Received: {folder.name}. Train its configuration, "
            f"{folder / CONFIG}, as a new run"
        )
    done = (folder / RESULT).is_file()
    if not done and not ((folder / "history.csv").is_file() and (folder / "predictions" / "test.csv").is_file()):
        raise ConfigError(
            f"The run was interrupted, there is nothing to compare with. Received: {folder.name}. "
            f"To let it go on: python scripts/train.py resume={folder.name}"
        )
    try:
        then = json.loads((folder / ENVIRONMENT).read_text())
        result = json.loads((folder / RESULT).read_text()) if done else {}
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"What the run recorded cannot be read ({reason}). Received: {folder}.") from error
    if folds := result.get("folds"):
        raise ConfigError(
            f"The run is one of {len(folds)} folds, each trained by a run of its own. Received: {folder.name}. "
            f"Reproduce these: {', '.join(folds)}"
        )
    return {"run_id": folder.name, **then}, result


def _refusal(folder: Path, refused: Sequence[Difference]) -> str:
    kinds = ",".join(dict.fromkeys(difference.kind for difference in refused))
    lines = [f"  {i}. {d.kind}: {d.text}\n     {d.remedy}" for i, d in enumerate(refused, 1)]
    count = f"{len(refused)} thing{'s are' if len(refused) != 1 else ' is'}"
    return "\n".join(
        [
            f"Run {folder.name} cannot be reproduced: {count} no longer as it was.",
            *lines,
            f"To train it nevertheless and see what comes of it: accept=[{kinds}]",
        ]
    )


def _jsonable(reproduction: Reproduction) -> dict[str, Any]:
    facts = asdict(reproduction)
    for part in facts["parts"]:
        part["by_layer"] = {layer: value if math.isfinite(value) else None for layer, value in part["by_layer"].items()}
        part["largest"] = part["largest"] if part["largest"] is not None and math.isfinite(part["largest"]) else None
    return {"identical": reproduction.identical, "sentence": reproduction.sentence, **facts}


def _largest(part: Part) -> str:
    return "" if part.largest is None else f"by up to {part.largest:.1e}"


def _say(reproduction: Reproduction) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from medexp.console import wide_console

    console = wide_console()
    console.print(f"\nRun {reproduction.reproduces} and its repetition {reproduction.run_id}", style="bold")
    table = Table(box=SIMPLE_HEAD)
    for title in ("compared", "", "what", "largest difference"):
        table.add_column(title)
    for part in reproduction.parts:
        largest = "" if part.largest is None else f"{part.largest:.3g}"
        table.add_row(part.name, "same" if part.same else "DIFFERS", part.detail, largest)
    console.print(table)
    layers = {layer: apart for part in reproduction.parts for layer, apart in part.by_layer.items()}
    if layers:
        by_layer = Table(box=SIMPLE_HEAD)
        by_layer.add_column("layer")
        by_layer.add_column("largest difference", justify="right")
        for layer, apart in layers.items():
            by_layer.add_row(layer, f"{apart:.3g}")
        console.print(by_layer)
    console.print(reproduction.sentence, soft_wrap=True)
