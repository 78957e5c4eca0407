"""What a person reads at the end of a run, and what to type next."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from medexp.console import wide_console
from medexp.types import RunResult

WEIGHTS = "best.weights.h5"
_NAMES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "subset_accuracy": "subset accuracy",
    "balanced_accuracy": "balanced accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "f1": "F1",
    "quadratic_kappa": "quadratic kappa",
    "mean_absolute_error": "mean absolute error",
    "brier": "Brier score",
    "log_loss": "log loss",
}


def print_summary(result: RunResult, *, where: str, log: Path, images: int | None = None, elsewhere: str = "") -> None:
    """Print the test metrics of the best epoch, and where to look next, to standard output.

    Args:
        result: of the run.
        where: the run is shown.
        log: of the run.
        images: in the test split; None counts labels, where each image has one.
        elsewhere: the overrides that put outputs and store at another place than the default, as in a shell.
    """
    console = wide_console()
    data, metrics = result.data, result.metrics
    if images is None and data.task != "multilabel":
        images = sum(data.counts["test"].values())
    count = "" if images is None else f": {images} images"
    synthetic = ", SYNTHETIC images" if data.synthetic else ""
    epoch = f"{result.best_epoch} of {result.epochs}"
    console.print(f"\nTest of the best epoch ({epoch}) on {data.name}{count}{synthetic}", style="bold")
    table = Table(box=SIMPLE_HEAD)
    table.add_column("metric")
    table.add_column("test", justify="right")
    for key, name in _NAMES.items():
        if (value := metrics.get(f"test_{key}")) is not None:
            table.add_row(name, f"{value:.4f}")
    for key, value in metrics.items():
        if key.startswith("test_auc/"):
            table.add_row(f"AUC {key.partition('/')[2]}", f"{value:.4f}")
    console.print(table)
    if data.positive is not None:
        console.print(
            f"Positive is {data.positive}, from a probability of {metrics['threshold']:.3f} on: chosen on the "
            "validation split (Youden's index)."
        )
    elif data.task == "multilabel":
        console.print("Each class has its own threshold, chosen on the validation split (Youden's index).")
    elif data.task == "ordinal":
        console.print(f"Grades in order: {', '.join(data.class_names)}. The most probable one is the answer.")
    console.print(f"Selected by {result.objective.metric} = {result.score:.4f}; trained in {result.seconds:.0f} s.\n")
    hints = {"run id": result.run_id, "folder": str(result.run_dir), "log": str(log), "bundle": str(result.bundle)}
    if (weights := result.run_dir / WEIGHTS).is_file():
        hints["weights"] = str(weights)
    hints["compare"] = where
    if result.model_uri is not None:
        hints["promote"] = promote_command(result.run_id, elsewhere=elsewhere)
        hints["serve"] = serve_command(elsewhere=elsewhere)
    for name, text in hints.items():
        console.print(f"  {name:<8} {text}", soft_wrap=True)


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
