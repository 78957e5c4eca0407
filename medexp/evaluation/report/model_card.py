"""The model card (Mitchell et al., FAT* 2019): nine sections, filled from evidence, the rest listed as open."""

from __future__ import annotations

import re
from collections.abc import Iterator

from medexp.evaluation.report.cautions import cautions
from medexp.evaluation.report.checklist import Checklist, Item
from medexp.evaluation.report.facts import Facts
from medexp.evaluation.report.headline import sentences
from medexp.evaluation.report.tables import metric_rows, shown_splits
from medexp.evaluation.report.wording import estimated

NAME, FILE = "Model card", "model_card.md"
SOURCE = "Mitchell et al., FAT* 2019, doi:10.1145/3287560.3287596"
_D, _U, _F, _M, _E = "Model details", "Intended use", "Factors", "Metrics", "Evaluation data"
_T, _Q, _S, _C = "Training data", "Quantitative analyses", "Ethical considerations", "Caveats and recommendations"
ITEMS = (
    Item("", _D, "Version", ("version",)),
    Item("", _D, "Type", ("model", "specification")),
    Item("", _D, "Training", ("training", "augmentation", "initial", "selection")),
    Item("", _D, "Code and software", ("code", "software")),
    Item("", _D, "License", ("license",)),
    Item("", _D, "Whom to ask", ("contact",)),
    Item("", _D, "Funding", ("funding",)),
    Item("", _U, "Uses and users", ("intended_use",)),
    Item("", _U, "Out of scope", ("not_for",)),
    Item("", _F, "Who the images come from", ("population",)),
    Item("", _F, "Groups that are compared", ("subgroup_columns",)),
    Item("", _M, "Measures", ("measures",)),
    Item("", _M, "Decision thresholds", ("thresholds", "calibration")),
    Item("", _M, "Uncertainty", ("uncertainty",)),
    Item("", _E, "Data", ("sources", "size", "data_identity")),
    Item("", _E, "Reference standard", ("reference_standard",)),
    Item("", _E, "Preparation and checks", ("preparation", "quality")),
    Item("", _T, "Data", ("division", "disjoint", "difference")),
    Item("", _T, "Rare classes", ("imbalance",)),
    Item("", _Q, "Of all images", ("performance",)),
    Item("", _Q, "Of each group", ("subgroups",)),
    Item("", _Q, "Of groups in combination", (), "not measured: one column at a time is"),
    Item("", _Q, "Under worse images", ("robustness",)),
    Item("", _S, "Approval, consent, risks", ("ethics",)),
    Item("", _C, "Found by the evaluation", ("cautions",)),
    Item("", _C, "Limitations that people see", ("limitations",)),
    Item("", _C, "What it refuses to answer", ("refusal",)),
)


def markdown(card: Checklist, facts: Facts) -> str:
    """Return the card as Markdown, to lie beside the model: it links nowhere."""
    return "\n".join(_lines(card, facts)) + "\n"


def _lines(card: Checklist, facts: Facts) -> Iterator[str]:
    evidence = facts.evidence
    yield f"# {NAME}: {_escaped(facts.model)} on {_escaped(facts.data_name)}"
    yield ""
    yield from (f"{_escaped(sentence)}\n" for sentence in sentences(facts))
    yield from (f"> **{caution.level}** {_escaped(caution.text)}\n>" for caution in cautions(facts))
    section = ""
    for filled in card.items:
        if filled.item.section != section:
            section = filled.item.section
            yield f"\n## {section}\n"
        known = "; ".join(_escaped(answer.text) for answer in filled.answers)
        still = "; ".join(f"*open: {_escaped(text)}*" for text in filled.open)
        yield f"- **{filled.item.asks}**: {'; '.join(filter(None, (known, still)))}"
        if filled.item.asks == "Of all images":
            yield from _table(facts)
    yield f"\nRun {evidence.run_id}, evaluation {evidence.evaluation_id}, {evidence.created}. After {SOURCE}."


def _table(facts: Facts) -> Iterator[str]:
    splits = shown_splits(facts)
    yield ""
    yield f"| metric | {' | '.join(splits)} |"
    yield f"|---|{'---|' * len(splits)}"
    for row in metric_rows(facts):
        cells = (estimated(row.values[split]) if split in row.values else "" for split in splits)
        yield f"| {_escaped(row.name.title)} | {' | '.join(cells)} |"
    yield ""


def _escaped(text: str) -> str:
    """Text that Markdown and the HTML in it leave alone."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))
