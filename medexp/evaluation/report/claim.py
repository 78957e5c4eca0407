"""CLAIM, 2024 update: 44 items (Tejani et al., Radiol Artif Intell 6:e240300, 2024). What they ask for in our words."""

from __future__ import annotations

from medexp.evaluation.report.checklist import Item

NAME = "CLAIM 2024"
SOURCE = "Tejani et al., Radiology: Artificial Intelligence 6(4):e240300 (2024), doi:10.1148/ryai.240300"
_T, _I, _S, _D = "Title and abstract", "Introduction", "Study design", "Data"
_L, _P, _M, _F = "Reference standard", "Partitions", "Model", "Training"
_E, _R, _C, _O = "Evaluation", "Results", "Discussion", "Other information"
ITEMS = (
    Item("1", _T, "Say that this is AI, and of which kind", ("kind",)),
    Item("2", _T, "Summary of design, methods, results, conclusions", ("summary",), "conclusions"),
    Item("3", _I, "Background, intended use and role", ("intended_use",), "scientific and clinical background"),
    Item("4", _I, "Aims and hypotheses", ("kind",), "hypotheses"),
    Item("5", _S, "Prospective or retrospective", (), "which of both"),
    Item("6", _S, "Goal of the study", ("outcome", "intended_use")),
    Item("7", _D, "Sources of the data", ("sources", "population")),
    Item("8", _D, "Inclusion and exclusion", ("population",), "the criteria"),
    Item("9", _D, "Preprocessing", ("preparation",)),
    Item("10", _D, "Selection of subsets of the data", ("division",), "what was taken of a larger collection"),
    Item("11", _D, "De-identification", (), "how it was done"),
    Item("12", _D, "Missing data", ("unreadable",), "what was left out, and why"),
    Item("13", _D, "Acquisition of the images", (), "devices and protocols"),
    Item("14", _L, "How the reference standard was obtained", ("reference_standard",)),
    Item("15", _L, "Why this reference standard", (), "the rationale"),
    Item("16", _L, "Source of the annotations", ("reference_standard",)),
    Item("17", _L, "Annotation of the test set", (), "whether it differs from that of training"),
    Item("18", _L, "Variability within and between raters", (), "how far raters agree"),
    Item("19", _P, "How data was assigned to partitions", ("division",)),
    Item("20", _P, "At which level partitions are disjoint", ("disjoint", "quality")),
    Item("21", _P, "Intended size of the test set", ("size",), "how it was determined"),
    Item("22", _M, "Description of the model", ("model", "specification")),
    Item("23", _M, "Software and versions", ("software",)),
    Item("24", _M, "Initial weights", ("initial",)),
    Item("25", _F, "Training: augmentation, hyperparameters", ("training", "augmentation", "epochs")),
    Item("26", _F, "How the final model was chosen", ("selection",)),
    Item("27", _F, "Ensembling", ("ensemble",)),
    Item("28", _E, "Metrics of performance", ("measures",)),
    Item("29", _E, "Uncertainty and significance", ("uncertainty",)),
    Item("30", _E, "Robustness or sensitivity analysis", ("robustness",)),
    Item("31", _E, "Explainability, and its validation", ("explained",)),
    Item("32", _E, "Evaluation on internal data", ("internal",)),
    Item("33", _E, "Testing on external data", ("external",)),
    Item("34", _E, "Registration as a trial", ("registration",)),
    Item("35", _R, "How many were included and excluded", ("counts",), "who was excluded"),
    Item("36", _R, "Characteristics of cases in each partition", ("shares", "subgroup_counts"), "of each partition"),
    Item("37", _R, "Performance and uncertainty on all partitions", ("performance", "subgroups")),
    Item("38", _R, "Diagnostic performance and its precision", ("diagnostic",)),
    Item("39", _R, "Analysis of wrong answers", ("failures",)),
    Item("40", _C, "Limitations", ("limitations", "cautions")),
    Item("41", _C, "Implications for practice", ("intended_use", "not_for")),
    Item("42", _O, "Protocol or further technical detail", ("configuration", "protocol")),
    Item("43", _O, "Availability of software, model and data", ("code", "specification"), "where they can be had"),
    Item("44", _O, "Funding, and the role of the funders", ("funding",)),
)
