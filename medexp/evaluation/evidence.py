"""What an evaluation finds, section by section: what `evaluation.json` holds and the report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medexp.decision.operating_point import OperatingPoint
from medexp.types import Calibration, Estimate, Split, Task

Metrics = Mapping[str, Estimate]  # by name without the split: `auc`, `sensitivity`, `auc/<class>` ...


@dataclass(frozen=True)
class Resampling:
    """How intervals were made.

    Args:
        resamples: how many bootstrap samples; 0: no intervals, each is its value alone.
        confidence: of each interval, such as 0.95.
        unit: what was drawn: `group` where the data names groups (patients), `image` otherwise (within each class).
        units: how many there are in the test split.
    """

    resamples: int
    confidence: float
    unit: str
    units: int


@dataclass(frozen=True)
class ReliabilityBin:
    """Images of about equal predicted probability; bins hold equally many."""

    images: int
    predicted: float
    observed: Estimate


@dataclass(frozen=True)
class Reliability:
    """How well probabilities say how often.

    Args:
        ece: expected calibration error over bins of equal mass (Roelofs et al., AISTATS 2022).
        slope: of the logistic recalibration (Cox, Biometrika 45:562, 1958); 1 is perfect, below 1 overconfident.
        intercept: of the same with the slope held at 1 (calibration in the large); 0 is perfect.
        brier: mean squared difference of probability and outcome.
        log_loss: mean negative logarithm of the probability of what is true.
        bins: the reliability diagram; of all classes together, one against rest, where there are several.
    """

    ece: Estimate
    slope: Estimate
    intercept: Estimate
    brier: Estimate
    log_loss: Estimate
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class CalibrationSection:
    """What was fitted on validation, and the test split before and after it."""

    fitted: Calibration
    before: Reliability
    after: Reliability


@dataclass(frozen=True)
class PredictiveValues:
    """PPV and NPV of one class at a stated prevalence."""

    prevalence: float
    ppv: Estimate
    npv: Estimate


@dataclass(frozen=True)
class NetBenefit:
    """One threshold probability of a decision curve (Vickers and Elkin, Med Decis Making 26:565, 2006)."""

    threshold: float
    model: float
    all: float


@dataclass(frozen=True)
class OperatingSection:
    """The operating point, what it does on test, and what it is worth.

    Args:
        chosen: on validation, with what it achieves there.
        test: metrics at these thresholds on test: `sensitivity`, `specificity`, `ppv`, `npv`, each also `/<class>`.
        at_prevalence: by class name; empty where none was given.
        curve: by class name, the decision curve on test.
    """

    chosen: OperatingPoint
    test: Metrics
    at_prevalence: Mapping[str, PredictiveValues] = field(default_factory=dict)
    curve: Mapping[str, tuple[NetBenefit, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Subgroup:
    """The test images with one value of a metadata column; metrics that cannot be told are left out."""

    column: str
    value: str
    images: int
    groups: int | None
    metrics: Metrics


@dataclass(frozen=True)
class SubgroupSection:
    """Subgroups of at least `smallest` images; the worst by `metric` (its lowest, or highest, value); that of all."""

    metric: str
    smallest: int
    subgroups: tuple[Subgroup, ...]
    worst: Subgroup | None
    left_out: Mapping[str, str] = field(default_factory=dict)  # column or `column=value`: why
    overall: Estimate | None = None


@dataclass(frozen=True)
class Corrupted:
    """The test images under one corruption at one severity, 1 to 5."""

    corruption: str
    severity: int
    metrics: Metrics


@dataclass(frozen=True)
class RobustnessSection:
    """Metrics under corruptions, of the first `images` test images, and of the same without corruption."""

    images: int
    clean: Metrics
    corrupted: tuple[Corrupted, ...]


@dataclass(frozen=True)
class AbstentionSection:
    """Conformal sets and refusal of strange images, fitted on validation, counted on test.

    A multi-label task has two answers for each image and class: `absent/<class>` stands for those of images without the
    finding, and shares of images are shares of these answers.

    Args:
        coverage: chosen.
        limits: by class name (`Conformal`).
        achieved: by class name, the share of its test images whose set holds it; and `all`. Classes of which the test
            split has no image are left out.
        within: whether each class has its true one in the set as often as promised: not so seldom that chance, in
            validation (which set the limit) and test, brings it about in fewer than 2.5 % of cases (beta-binomial;
            Vovk, ACML 2012). `all`: whether every class has. No means that validation and test are not alike.
        sizes: share of test images by size of their set: 0, 1, 2 ...
        unsure: share of test images without a single answer, or whose single one is not what is decided.
        accuracy_if_sure: of the other images; NaN where there are none.
        false_refusal: chosen share of validation images above the threshold.
        refused: share of test images above it.
        threshold: of the score.
    """

    coverage: float
    limits: Mapping[str, float]
    achieved: Metrics
    within: Mapping[str, bool]
    sizes: Mapping[str, float]
    unsure: float
    accuracy_if_sure: Estimate
    false_refusal: float
    refused: Estimate
    threshold: float


@dataclass(frozen=True)
class Shown:
    """One image of the gallery: what it is, what was answered, and how probable that was said to be.

    `picture` is a file beside `evaluation.json`: the image, and over it what speaks for the answer and against it.
    """

    key: str
    label: str
    answer: str
    probability: float
    picture: str


@dataclass(frozen=True)
class SaliencySection:
    """Class activation maps (Selvaraju et al., ICCV 2017), and whether they depend on what was learnt.

    Args:
        method: `cam`, or `gradcam`.
        similarity: rank correlation of the maps with those of the same network with random weights (Adebayo et al.,
            NeurIPS 2018): the size of its mean over images, averaged over random networks. Near 0 is what a map that
            shows what was learnt has; 1 a map that shows the image alone.
        passed: whether it is below the limit.
        limit: of `similarity`.
        gallery: by `surest right`, `surest wrong`, `least sure`; a kind of which there is no image is empty.
        cascade: the same similarity where only the layers next to the output are random, by their number in words,
            from few to all.
        images: that similarity is the mean over.
    """

    method: str
    similarity: float
    passed: bool
    limit: float
    gallery: Mapping[str, tuple[Shown, ...]]
    cascade: Mapping[str, float] = field(default_factory=dict)
    images: int = 0


@dataclass(frozen=True)
class Evidence:
    """One evaluation of one model.

    Args:
        run_id: of the training that the model comes from.
        evaluation_id: of the run that evaluated it: the same, or that of `scripts/evaluate.py`.
        created: ISO 8601, UTC.
        task: what kind of labels.
        class_names: in order.
        data: name, digest, split digest, source, counts, synthetic: of the data it was evaluated on.
        trained_on: digest of the data it was trained on.
        resampling: how intervals were made.
        metrics: by split, `val` and `test`: all of `classification_metrics`.
        calibration: None where it has no meaning or was not asked for; likewise the others.
        pictures: by title, files beside `evaluation.json`.
    """

    run_id: str
    evaluation_id: str
    created: str
    task: Task
    class_names: tuple[str, ...]
    data: Mapping[str, Any]
    trained_on: str
    resampling: Resampling
    metrics: Mapping[Split, Metrics]
    calibration: CalibrationSection | None = None
    operating: OperatingSection | None = None
    subgroups: SubgroupSection | None = None
    robustness: RobustnessSection | None = None
    abstention: AbstentionSection | None = None
    saliency: SaliencySection | None = None
    pictures: Mapping[str, str] = field(default_factory=dict)
