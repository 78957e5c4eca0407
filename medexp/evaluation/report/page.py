"""The page: everything that the template shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medexp.evaluation.report import settings, wording
from medexp.evaluation.report.cautions import accepted, cautions
from medexp.evaluation.report.checklist import Checklist
from medexp.evaluation.report.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, best_epoch, panels
from medexp.evaluation.report.facts import Facts
from medexp.evaluation.report.grids import robustness_grids
from medexp.evaluation.report.headline import headlines, sentences
from medexp.evaluation.report.metric_names import metric_name, metric_order
from medexp.evaluation.report.pictures import gallery, placed, plotted
from medexp.evaluation.report.provenance import engines, provenance
from medexp.evaluation.report.tables import class_table, metric_rows, shown_splits

SECTIONS = (
    ("summary", "Summary"),
    ("data", "Data"),
    ("audit", "Audit"),
    ("configuration", "Configuration"),
    ("training", "Training"),
    ("metrics", "Metrics"),
    ("calibration", "Calibration"),
    ("operating-point", "Operating point"),
    ("abstention", "Abstention"),
    ("subgroups", "Subgroups"),
    ("robustness", "Robustness"),
    ("saliency", "Where it looks"),
    ("bundle", "What is served"),
    ("model-card", "Model card"),
    ("tripod", "TRIPOD+AI"),
    ("claim", "CLAIM"),
    ("provenance", "Provenance"),
)


def page(facts: Facts, *, card: Checklist, checklists: Sequence[Checklist], folder: Path) -> str:
    """Return the report as HTML: style inline, pictures as `data:` addresses, no script.

    Args:
        facts: of the run.
        card: the model card.
        checklists: TRIPOD+AI and CLAIM.
        folder: that the pictures lie in.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("medexp.evaluation.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=wording.number,
        interval=wording.interval,
        estimated=wording.estimated,
        percent=wording.percent,
        counted=wording.counted,
        aim=wording.aim_in_words,
    )
    evidence = facts.evidence
    metric, mode = facts.setting("objective.metric"), facts.setting("objective.mode")
    best = best_epoch(facts.history, metric=metric, mode=mode) if metric and mode else None
    robust = evidence.robustness
    grids = () if robust is None else robustness_grids(robust, task=evidence.task)
    return environment.get_template("report.html.jinja").render(
        facts=facts,
        evidence=evidence,
        sections=SECTIONS,
        sentences=sentences(facts),
        headlines=headlines(facts),
        cautions=cautions(facts),
        splits=shown_splits(facts),
        rows=metric_rows(facts),
        classes=class_table(facts),
        operating_classes=None if evidence.operating is None else class_table(facts, evidence.operating.test),
        metric_name=metric_name,
        metric_order=metric_order,
        settings=settings.settings(facts),
        config_text=settings.as_yaml(facts),
        accepted=accepted(facts.audit) if facts.audit else {},
        panels=panels(facts.history, best=best),
        best=best,
        chart={
            "width": WIDTH,
            "height": HEIGHT,
            "left": LEFT,
            "right": WIDTH - RIGHT,
            "top": TOP,
            "foot": HEIGHT - BOTTOM,
        },
        grids=grids,
        pictures=placed(plotted(evidence.pictures, folder), folder),
        gallery=gallery(evidence.saliency, folder),
        engines=engines(facts),
        provenance=provenance(facts),
        card=card,
        checklists=checklists,
    )
