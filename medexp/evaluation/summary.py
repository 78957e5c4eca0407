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
    "balanced_accuracy": "balanced accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "f1": "F1",
    "brier": "Brier score",
    "log_loss": "log loss",
}


def print_summary(result: RunResult, *, where: str, log: Path, elsewhere: str = "") -> None:
    """Print the test metrics of the best epoch, and where to look next, to standard output.

    `elsewhere` is the overrides that put the store at another place than the default.
    """
    console = wide_console()
    data, metrics = result.data, result.metrics
    count = sum(data.counts["test"].values())
    synthetic = ", SYNTHETIC images" if data.synthetic else ""
    epoch = f"{result.best_epoch} of {result.epochs}"
    console.print(f"\nTest of the best epoch ({epoch}) on {data.name}: {count} images{synthetic}", style="bold")
    table = Table(box=SIMPLE_HEAD)
    table.add_column("metric")
    table.add_column("test", justify="right")
    for key, name in _NAMES.items():
        if (value := metrics.get(f"test_{key}")) is not None:
            table.add_row(name, f"{value:.4f}")
    console.print(table)
    if data.positive is not None:
        console.print(
            f"Positive is {data.positive}, from a probability of {metrics['threshold']:.3f} on: chosen on the "
            "validation split (Youden's index)."
        )
    console.print(f"Selected by {result.objective.metric} = {result.score:.4f}; trained in {result.seconds:.0f} s.\n")
    hints = {"run id": result.run_id, "folder": str(result.run_dir), "log": str(log), "compare": where}
    if result.model_uri is not None:
        hints["promote"] = f"python scripts/promote.py {elsewhere}".rstrip()
        hints["serve"] = "make serve" if not elsewhere else "python -m serve, with MEDEXP_SERVE_TRACKING_URI"
    for name, text in hints.items():
        console.print(f"  {name:<8} {text}")
