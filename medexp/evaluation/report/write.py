"""Write `report.html` and `model_card.md` of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medexp.evaluation.evidence import Evidence
from medexp.evaluation.evidence_file import FOLDER
from medexp.evaluation.report import claim, model_card, tripod
from medexp.evaluation.report.answers_data import data_answers
from medexp.evaluation.report.answers_results import result_answers
from medexp.evaluation.report.checklist import Answer, Checklist, Item, filled
from medexp.evaluation.report.facts import Facts
from medexp.evaluation.report.page import page
from medexp.evaluation.report.topics import MISSING, said

REPORT, CARD = "report.html", model_card.FILE


def write_report(
    evidence: Evidence,
    *,
    folder: Path,
    config: Mapping[str, Any],
    history: Sequence[Mapping[str, float]],
    audit: Mapping[str, Any] | None,
    card: Mapping[str, str | None],
    environment: Mapping[str, Any],
    passport: Mapping[str, Any] | None,
) -> Path:
    """Write `evaluation/report.html`, one file that needs nothing beside it, and `evaluation/model_card.md`.

    Every field is filled from what is passed in; what is not there is listed as open.

    Args:
        evidence: its pictures are files in `folder`/evaluation.
        folder: of the run that evaluated.
        config: of the training, as it was composed.
        history: metrics of each epoch, the first first; empty: no curves.
        audit: what `audit.json` holds; None where the data was not audited.
        card: what only people know (conf/card); None values are open.
        environment: what `environment.json` holds.
        passport: what `passport.json` holds; None where there is no bundle.

    Returns:
        The path of the page.
    """
    facts = Facts(evidence, config, history, audit, card, environment, passport)
    where = folder / FOLDER
    where.mkdir(parents=True, exist_ok=True)
    described, *checklists = checklists_of(facts)
    (where / CARD).write_text(model_card.markdown(described, facts), encoding="utf-8")
    path = where / REPORT
    path.write_text(page(facts, card=described, checklists=checklists, folder=where), encoding="utf-8")
    return path


def checklists_of(facts: Facts) -> tuple[Checklist, Checklist, Checklist]:
    """Return the model card, TRIPOD+AI and CLAIM, filled as far as the run fills them."""
    answers = {**data_answers(facts), **result_answers(facts), **said(facts)}
    return (
        _filled(model_card.ITEMS, answers, model_card.NAME, "model-card", model_card.SOURCE),
        _filled(tripod.ITEMS, answers, tripod.NAME, "tripod", tripod.SOURCE),
        _filled(claim.ITEMS, answers, claim.NAME, "claim", claim.SOURCE),
    )


def _filled(items: Sequence[Item], answers: Mapping[str, Answer], name: str, anchor: str, source: str) -> Checklist:
    return filled(items, answers, MISSING, name=name, anchor=anchor, source=source)
