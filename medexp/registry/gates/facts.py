"""What is known of a candidate and of the champion, as gates judge it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medexp.types import Estimate, Task


@dataclass(frozen=True)
class DataFacts:
    """What a model was trained and tested on, and what it answers."""

    name: str
    digest: str
    synthetic: bool
    task: Task
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class EngineFacts:
    """One exported graph of a bundle.

    Args:
        kind: `litert`, `openvino` ...
        agrees: with Keras, on validation images.
        why_not: where it does not agree, or could not be exported.
        difference: the largest in probability; None where it was not measured.
        flips: images whose decision differs; None where it was not measured.
        milliseconds: median latency of one image; None where it was not measured.
        chosen: whether it is the one that is served.
    """

    kind: str
    agrees: bool
    why_not: str | None = None
    difference: float | None = None
    flips: int | None = None
    milliseconds: float | None = None
    chosen: bool = False


@dataclass(frozen=True)
class AuditFacts:
    """How the audit of the training data went.

    Args:
        state: `clean`, `warned`, `accepted`, `refused`; empty where there was none.
        accepted: how many findings of each kind were accepted.
        refused: how many were refused, and trained on all the same (`data.audit=warn`).
    """

    state: str
    accepted: Mapping[str, int] = field(default_factory=dict)
    refused: int = 0


@dataclass(frozen=True)
class WorstSubgroup:
    """The subgroup in which the model is worst."""

    name: str
    metric: str
    images: int
    estimate: Estimate


@dataclass(frozen=True)
class Paired:
    """Candidate and champion on the same test images.

    Args:
        metric: that was compared.
        candidate: its value.
        champion: its value.
        advantage: of the candidate, positive where it is better whichever way the metric is good, with its interval.
        confidence: of the interval.
        p_value: two-sided, that there is no difference.
        superior: whether the candidate is better beyond chance, at 1 - confidence.
        images_needed: how many images would show a difference as large as the one seen; None where none was seen.
        p_better: the chance that the candidate is better, given these images.
        images: that were compared.
        units: patients or images that were drawn.
        rescored: why the champion was scored again; empty where its own predictions were taken.
        left_out: test images that the champion has learnt from.
    """

    metric: str
    candidate: float
    champion: float
    advantage: Estimate
    confidence: float
    p_value: float
    superior: bool
    images_needed: int | None
    p_better: float
    images: int
    units: int
    rescored: str = ""
    left_out: int = 0


@dataclass(frozen=True)
class Facts:
    """Everything that gates look at.

    Args:
        data: of the candidate.
        champion_data: of the champion; None where there is none.
        bundle_problem: why its bundle cannot be served; None where it can.
        evidence_problem: why there is no evaluation to go by, with the command that makes one; None where there is.
        metrics: on test, by name without the split.
        intervals: whether these have intervals: evaluated with `resamples=0`, the ends of each are its value.
        ece: expected calibration error; None where it was not measured.
        slope: of the recalibration.
        worst: None where there are no subgroups.
        unjudged: why no subgroup could be judged though some were looked for; None where none were.
        unasked: metadata columns whose subgroups were not looked at.
        engines: of the bundle.
        audit: of its training data.
        paired: with the champion; None where there is none, or no comparison.
        paired_problem: why there is no comparison though there is a champion.
    """

    data: DataFacts
    champion_data: DataFacts | None
    bundle_problem: str | None
    evidence_problem: str | None
    metrics: Mapping[str, Estimate]
    intervals: bool
    ece: Estimate | None
    slope: Estimate | None
    worst: WorstSubgroup | None
    engines: tuple[EngineFacts, ...]
    audit: AuditFacts
    paired: Paired | None
    paired_problem: str | None
    unjudged: str | None = None
    unasked: tuple[str, ...] = ()
