"""TRIPOD+AI: 27 items, 52 with their parts (Collins et al., BMJ 385:e078378, 2024). What they ask for in our words."""

from __future__ import annotations

from medexp.evaluation.report.checklist import Item

NAME = "TRIPOD+AI"
SOURCE = "Collins et al., BMJ 385:e078378 (2024), doi:10.1136/bmj-2023-078378"
_T, _I, _M = "Title and abstract", "Introduction", "Methods"
_O, _P, _R, _D = "Open science", "Patients and public", "Results", "Discussion"
ITEMS = (
    Item("1", _T, "Say what is developed or evaluated, for whom, and which outcome", ("kind", "outcome", "population")),
    Item("2", _T, "A structured abstract", ("summary",), "its setting, eligibility and registration"),
    Item("3a", _I, "Medical context, rationale, existing models", (), "context, rationale and existing models"),
    Item("3b", _I, "Target population, purpose in the care pathway, users", ("intended_use", "population")),
    Item("3c", _I, "Known health inequalities between groups", (), "known inequalities"),
    Item("4", _I, "Objectives: development, evaluation, or both", ("kind",), "the question of the study"),
    Item("5a", _M, "Sources of the data, why these, how representative", ("sources", "population"), "why this data"),
    Item("5b", _M, "Dates of the data", (), "start and end of accrual"),
    Item("6a", _M, "Setting; number and place of centres", ("population",), "number and place of centres"),
    Item("6b", _M, "Who was eligible", ("population",), "criteria of inclusion and exclusion"),
    Item("6c", _M, "Treatments received", (), "treatments, where they matter"),
    Item("7", _M, "Preparation and checks of the data, alike for all groups", ("preparation", "quality")),
    Item("8a", _M, "The outcome: definition, when and how assessed", ("outcome", "reference_standard")),
    Item("8b", _M, "Who assessed the outcome, where that takes judgement", (), "qualifications of the assessors"),
    Item("8c", _M, "Blinding of the assessment of the outcome", (), "what the assessors knew"),
    Item("9a", _M, "Choice of predictors before modelling", ("predictors",)),
    Item("9b", _M, "Definition of the predictors, how and when measured", ("predictors",), "how images were acquired"),
    Item("9c", _M, "Who assessed predictors, where that takes judgement", ("no_reader",)),
    Item("10", _M, "How the sample size came about, and that it is enough", ("size",), "why it is enough"),
    Item("11", _M, "Missing data", ("unreadable",), "what was left out of the data, and why"),
    Item("12a", _M, "How the data was used and divided", ("division", "disjoint")),
    Item("12b", _M, "How predictors enter the model", ("preparation", "augmentation")),
    Item("12c", _M, "Type of model, building, tuning, internal validation", ("model", "training", "selection")),
    Item("12d", _M, "How differences between clusters were handled", ("subgroup_columns",)),
    Item("12e", _M, "Measures and plots of performance", ("measures", "uncertainty")),
    Item("12f", _M, "Updating of the model after its evaluation", ("updating",)),
    Item("12g", _M, "How predictions were calculated", ("calculated",)),
    Item("13", _M, "Class imbalance, and recalibration after it", ("imbalance", "calibration")),
    Item("14", _M, "Approaches to fairness", ("fairness",), "approaches taken beyond measuring, and their rationale"),
    Item("15", _M, "Output, classification, how thresholds were found", ("output", "thresholds")),
    Item(
        "16", _M, "Differences between data of development and evaluation", ("difference",), "in setting, eligibility"
    ),
    Item("17", _M, "Ethical approval and consent", ("ethics",)),
    Item("18a", _O, "Funding, and the role of the funders", ("funding",)),
    Item("18b", _O, "Conflicts of interest", (), "of all authors"),
    Item("18c", _O, "Study protocol", (), "where it is, or that there is none"),
    Item("18d", _O, "Registration", (), "register and number, or that there is none"),
    Item("18e", _O, "Availability of the data", ("data_identity",), "where the data can be had"),
    Item("18f", _O, "Availability of the code", ("code",), "where the code can be had"),
    Item("19", _P, "Involvement of patients and the public", (), "how, or that there was none"),
    Item("20a", _R, "Flow of participants, with and without the outcome", ("counts",), "who was left out before"),
    Item("20b", _R, "Characteristics of participants", ("subgroup_counts",), "dates, treatments and demographics"),
    Item("20c", _R, "Comparison with the data of development", ("shares",), "of demographics"),
    Item("21", _R, "Participants and events in each analysis", ("counts",)),
    Item("22", _R, "The whole model, so that others can use it", ("specification",), "restrictions of access and use"),
    Item("23a", _R, "Performance with intervals, also of subgroups", ("performance", "subgroups")),
    Item("23b", _R, "Differences in performance between clusters", ("subgroups",)),
    Item("24", _R, "Results of updating", ("updating",)),
    Item("25", _D, "Interpretation, fairness included", (), "what the results mean"),
    Item("26", _D, "Limitations and what follows from them", ("limitations", "cautions")),
    Item("27a", _D, "Poor or missing input at the time of use", ("refusal",)),
    Item("27b", _D, "What users must do, and must know", ("service",), "the expertise that users need"),
    Item("27c", _D, "Next steps, applicability elsewhere", (), "next steps"),
)
