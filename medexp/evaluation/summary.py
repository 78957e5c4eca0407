"""What a person reads at the end of a run."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from medexp.console import wide_console
from medexp.types import RunResult

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
        elsewhere: the overrides that put the store at another place than the default.
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
    hints = {"run id": result.run_id, "folder": str(result.run_dir), "log": str(log), "compare": where}
    if result.model_uri is not None:
        hints["promote"] = f"python scripts/promote.py {elsewhere}".rstrip()
        hints["serve"] = "make serve" if not elsewhere else "python -m serve, with MEDEXP_SERVE_TRACKING_URI"
    for name, text in hints.items():
        console.print(f"  {name:<8} {text}")
