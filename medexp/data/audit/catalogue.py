"""Every kind of finding: what to call it, why it matters, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from medexp.data.audit.findings import Severity


@dataclass(frozen=True)
class Kind:
    """Args:
    severity: of its findings.
    title: a few words.
    why: why it matters, for somebody who is not a statistician.
    remedy: what to do about it.
    acceptable: whether a training could go on with what is refused of it.
    """

    severity: Severity
    title: str
    why: str
    remedy: str
    acceptable: bool = True


_REGROUP = (
    "Give the column that names the patient, slide or smear (data.group_column=...), so that a split keeps them "
    "together, and one name to groups that are one patient under two; or remove the copies."
)
_SHORTCUT_WHY = (
    "A network takes the easiest way to the label. If this property tells the class, it learns the property instead of "
    "the disease, scores well here and fails at the next hospital."
)
_SHORTCUT_REMEDY = (
    "Find out where the difference comes from (one scanner or one export for each class?). Prepare all images the same "
    "way, or collect the classes from the same sources."
)

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "empty_file": Kind(
            "refuse", "Empty files", "An empty file has no image to learn from.", "Restore the files, or remove them."
        ),
        "unreadable": Kind(
            "refuse",
            "Unreadable images",
            "What cannot be read is silently missing from every number, and rarely at random.",
            "Restore the files, or remove them from the data set.",
        ),
        "duplicates_across_splits": Kind(
            "refuse",
            "The same image in two splits",
            "The network is tested on images that it was trained on: the result says how well it remembers, not how "
            "well it diagnoses.",
            _REGROUP,
        ),
        "near_duplicates_across_splits": Kind(
            "refuse",
            "Nearly the same image in two splits",
            "Copies that were compressed, rescaled or shifted, and overlapping crops, leak just as identical images "
            "do: remembering one is enough to answer for the other.",
            _REGROUP,
        ),
        "conflicting_labels": Kind(
            "refuse",
            "The same image with different labels",
            "At least one of the labels is wrong. No network can get both right, and in a test set the error is "
            "charged to the network.",
            "Ask who labelled them, correct the labels, or remove the images.",
        ),
        "near_conflicts": Kind(
            "warn",
            "Nearly the same image with different labels",
            "Either one of the labels is wrong, or what tells the classes apart is hardly visible in these pixels.",
            "Look at the pairs; correct the labels where they are wrong.",
        ),
        "group_in_two_splits": Kind(
            "refuse",
            "A group in two splits",
            "Images of one patient resemble each other. With the patient in training, the test is no longer about "
            "people the network has never seen; published results lost 29 to 55 points of accuracy once this was "
            "mended (Yagis et al., 2021).",
            "Correct the split, or let medexp make one (data.split_column=null, data.split_file=null).",
        ),
        "ungrouped_identity": Kind(
            "refuse",
            "A column that names patients crosses the splits",
            "Nobody said that this column is a group, but its name or its repeated values look like a patient, a slide "
            "or a smear, and some of them are in two splits.",
            "Name it: data.group_column=... And let medexp make the split, or correct the given one.",
        ),
        "class_missing": Kind(
            "refuse",
            "A class is missing from a split",
            "Nothing can be learned or said of a class that is not there, and the area under the curve is undefined. A "
            "training needs every class in train, and in val and test too, unless an image may have several.",
            "Use larger shares (data.split.val, data.split.test), another seed (data.split.seed), or merge classes.",
            acceptable=False,
        ),
        "class_tiny": Kind(
            "warn",
            "Few images of a class in a split",
            "Of a handful of images a result says little: its confidence interval covers almost anything.",
            "Use larger shares (data.split.val, data.split.test), cross-validate (data.fold), or merge classes.",
        ),
        "prevalence_shift": Kind(
            "warn",
            "Prevalence differs between splits",
            "A threshold and probabilities fitted where a class is common do not hold where it is rare: expect wrong "
            "predictive values and calibration.",
            "Split stratified by class; or report results that do not depend on prevalence (AUC, sensitivity and "
            "specificity) and calibrate for the prevalence of the place of use.",
        ),
        "duplicates_within_split": Kind(
            "warn",
            "The same image twice in one split",
            "In training it counts double; in a test set it makes the confidence interval look narrower than it is.",
            "Remove the copies.",
        ),
        "near_duplicates_within_split": Kind(
            "note",
            "Nearly the same image twice in one split",
            "They are fewer independent images than they seem; with another split they may leak.",
            _REGROUP,
        ),
        "shortcut_size": Kind("warn", "Image size differs by class", _SHORTCUT_WHY, _SHORTCUT_REMEDY),
        "shortcut_file_size": Kind("warn", "File size differs by class", _SHORTCUT_WHY, _SHORTCUT_REMEDY),
        "shortcut_bit_depth": Kind("warn", "Bit depth differs by class", _SHORTCUT_WHY, _SHORTCUT_REMEDY),
        "shortcut_mode": Kind("warn", "Colour mode differs by class", _SHORTCUT_WHY, _SHORTCUT_REMEDY),
        "shortcut_format": Kind("warn", "File format differs by class", _SHORTCUT_WHY, _SHORTCUT_REMEDY),
        "shortcut_brightness": Kind(
            "warn",
            "Brightness differs by class",
            _SHORTCUT_WHY + " Brightness may be anatomy, too: a consolidated lung is brighter.",
            _SHORTCUT_REMEDY,
        ),
        "shortcut_border": Kind("warn", "The border differs by class", _SHORTCUT_WHY, _SHORTCUT_REMEDY),
        "metadata_predicts_class": Kind(
            "warn",
            "Metadata predicts the class",
            "Where a site, a scanner or an age tells the class, a network can recognise the site in the pixels "
            "instead of the disease, and results differ between subgroups.",
            "Balance the classes within each value, or report results for each value by itself.",
        ),
        "shortcut_probe": Kind(
            "warn",
            "Shortcut probe: the class from what is not anatomy",
            "A classifier that saw nothing but size, aspect, format, file size, brightness and a strip along the "
            "border got this far. A network's result beyond that is what it learned of the disease, at most.",
            _SHORTCUT_REMEDY,
        ),
        "leak_canary": Kind(
            "refuse",
            "Leak canary: random labels",
            "The labels were shuffled, so nothing about the disease is left in them. Whoever still predicts them on "
            "the validation split has recognised patients or copies from the training split: the split leaks.",
            _REGROUP,
        ),
        "not_checked": Kind(
            "note",
            "Not checked",
            "A check that could not run says nothing either way.",
            "See the reason given.",
        ),
        "unknown_acceptance": Kind(
            "note",
            "An acceptance that cannot be",
            "It accepts nothing: its finding is unknown, perhaps because of a spelling mistake, or can only be mended.",
            "Correct or remove it in data.accept.",
        ),
        "stale_acceptance": Kind(
            "note",
            "An acceptance that is no longer needed",
            "What it names does not occur any more. Left in place it would accept it again, unseen.",
            "Remove it from data.accept.",
        ),
    }
)
