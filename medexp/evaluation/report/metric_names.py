"""What metrics are called and mean, in one sentence each."""

from __future__ import annotations

from dataclasses import dataclass

from medexp.types import Task


@dataclass(frozen=True)
class MetricName:
    """A metric for people.

    Args:
        title: its name.
        meaning: what it counts.
        share: whether 0 is the worst and 1 the best it can be, so that a bar from 0 to 1 shows it.
    """

    title: str
    meaning: str = ""
    share: bool = True


_NAMES = {
    "auc": MetricName("AUC", "how often an image with the finding scores above one without; 0.5 is chance"),
    "average_precision": MetricName("Average precision", "precision over all thresholds; chance is the prevalence"),
    "accuracy": MetricName("Accuracy", "share of right answers; a rare class hardly counts"),
    "subset_accuracy": MetricName("Subset accuracy", "share of images with all findings right"),
    "balanced_accuracy": MetricName("Balanced accuracy", "mean share of right answers over the classes"),
    "sensitivity": MetricName("Sensitivity", "share of the images with the finding that are called positive"),
    "specificity": MetricName("Specificity", "share of the images without it that are called negative"),
    "ppv": MetricName("PPV", "share of positive answers that are right, at the prevalence of this data"),
    "npv": MetricName("NPV", "share of negative answers that are right, at the prevalence of this data"),
    "f1": MetricName("F1", "harmonic mean of sensitivity and PPV"),
    "mcc": MetricName("MCC", "correlation of answer and truth (Matthews); 0 is chance", share=False),
    "quadratic_kappa": MetricName("Quadratic kappa", "agreement beyond chance, far misses cost more", share=False),
    "mean_absolute_error": MetricName("Mean absolute error", "in grades; 0 is best", share=False),
    "brier": MetricName("Brier score", "mean squared error of the probability; 0 is best", share=False),
    "log_loss": MetricName("Log loss", "surprise at the truth; 0 is best", share=False),
    "ece": MetricName("ECE", "mean distance of probability and frequency; 0 is best", share=False),
}
HEADLINES: dict[Task, tuple[str, ...]] = {
    "binary": ("auc", "sensitivity", "specificity", "brier"),
    "multiclass": ("auc", "balanced_accuracy", "accuracy", "f1"),
    "multilabel": ("auc", "average_precision", "f1", "subset_accuracy"),
    "ordinal": ("quadratic_kappa", "mean_absolute_error", "balanced_accuracy", "auc"),
}


def metric_name(name: str) -> MetricName:
    """Return what is known of a metric (its name without split and class); of others, their name in words."""
    return _NAMES.get(name) or MetricName(name.replace("_", " "), share=False)


def metric_order(name: str) -> tuple[int, str]:
    """Return what to sort names of metrics by."""
    known = list(_NAMES)
    return (known.index(name) if name in known else len(known), name)
