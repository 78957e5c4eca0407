"""What a person reads at the end of a run, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from medexp.console import wide_console
from medexp.types import RunResult

WEIGHTS = "best.weights.h5"
REPORT = Path("evaluation") / "report.html"
_AIMS = {"youden": "Youden's index"}
_NAMES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "subset_accuracy": "subset accuracy",
    "balanced_accuracy": "balanced accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "mcc": "MCC",
    "quadratic_kappa": "quadratic kappa",
    "mean_absolute_error": "mean absolute error",
    "brier": "Brier score",
    "log_loss": "log loss",
    "loss": "loss",
}


def print_summary(
    result: RunResult, *, where: str, log: Path, images: int | None = None, elsewhere: str = "", aim: str = "youden"
) -> None:
    """Print the test metrics of the best epoch with their intervals, and where to look next, to standard output.

    Of a run that was not tested, those of validation; of one of every fold, means and standard deviations.

    Args:
        result: of the run.
        where: the run is shown.
        log: of the run.
        images: in the test split; None counts labels, where each image has one.
        elsewhere: the overrides that put outputs and store at another place than the default, as in a shell.
        aim: of the operating point.
    """
    console = wide_console()
    data, metrics = result.data, result.metrics
    if images is None and data.task != "multilabel" and not result.folds:
        images = sum(data.counts["test"].values())
    count = "" if images is None else f": {images} images"
    synthetic = ", SYNTHETIC images" if data.synthetic else ""
    epoch = f"of {len(result.folds)} folds" if result.folds else f"({result.best_epoch} of {result.epochs})"
    split = "test" if any(name.startswith("test_") for name in metrics) else "val"
    count = count if split == "test" and not result.folds else ""
    title = f"{'Test' if split == 'test' else 'Validation'} of the best epoch {epoch} on {data.name}{count}{synthetic}"
    console.print(f"\n{title}", style="bold")
    console.print(_table(metrics, split, deviation=bool(result.folds)))
    if split == "val" or result.folds:
        pass  # no threshold was chosen, or one for each fold
    elif data.positive is not None:
        console.print(
            f"Positive is {data.positive}, from a probability of {metrics['threshold']:.3f} on: chosen on the "
            f"validation split ({_AIMS.get(aim, aim)})."
        )
    elif data.task == "multilabel":
        console.print(f"Each class has its own threshold, chosen on the validation split ({_AIMS.get(aim, aim)}).")
    elif data.task == "ordinal":
        console.print(f"Grades in order: {', '.join(data.class_names)}. The most probable one is the answer.")
    console.print(f"Selected by {result.objective.metric} = {result.score:.4f}; trained in {result.seconds:.0f} s.\n")
    hints = {"run id": result.run_id, "folder": str(result.run_dir), "log": str(log)}
    if result.bundle is not None:
        hints["bundle"] = str(result.bundle)
    if (weights := result.run_dir / WEIGHTS).is_file():
        hints["weights"] = str(weights)
    if (report := result.run_dir / REPORT).is_file():
        hints["report"] = str(report)
    hints["compare"] = where
    if result.model_uri is not None:
        hints["promote"] = promote_command(result.run_id, elsewhere=elsewhere)
        hints["serve"] = serve_command(elsewhere=elsewhere)
    for name, text in hints.items():
        console.print(f"  {name:<8} {text}", soft_wrap=True)


def _table(metrics: Mapping[str, float], split: str, *, deviation: bool) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("metric")
    intervals = not deviation and any(f"{split}_{key}_low" in metrics for key in _NAMES)
    for title in (split, *(["deviation"] if deviation else []), *(["interval"] if intervals else [])):
        table.add_column(title, justify="right")
    names = {f"{split}_{key}": name for key, name in _NAMES.items()}
    for key in metrics:
        if key.startswith(f"{split}_auc/") and not (deviation and key.endswith("_std")):
            names[key] = f"AUC {key.partition('/')[2]}"
    for key, name in names.items():
        if key in metrics:
            spread = [f"{metrics[f'{key}_std']:.4f}"] if deviation else []
            if intervals and f"{key}_low" in metrics:
                spread = [f"{metrics[f'{key}_low']:.4f} to {metrics[f'{key}_high']:.4f}"]
            table.add_row(name, f"{metrics[key]:.4f}", *spread)
    return table


def promote_command(run_id: str, *, elsewhere: str = "") -> str:
    """Return the command that makes this run the champion, as typed in a shell."""
    known = [item for item in shlex.split(elsewhere) if not item.startswith("tracking.artifacts=")]
    return shlex.join(["python", "scripts/promote.py", f"run={run_id}", "apply=true", *known])


def serve_command(*, elsewhere: str = "") -> str:
    """Return the command that serves the champion of the store that `elsewhere` names, as typed in a shell."""
    places = dict(item.lstrip("+").split("=", 1) for item in shlex.split(elsewhere))
    store = places.get("tracking.uri")
    if store is None and (outputs := places.get("paths.outputs")) is not None:
        store = f"sqlite:///{Path(outputs).expanduser().absolute() / 'mlflow.db'}"
    return "make serve" if store is None else f"MEDEXP_SERVE_TRACKING_URI={shlex.quote(store)} python -m serve"


def resume_command(run: str | Path) -> str:
    """Return the command that goes on with an interrupted run, by its id or, where that is not enough, its folder."""
    return shlex.join(["python", "scripts/train.py", f"resume={run}"])
