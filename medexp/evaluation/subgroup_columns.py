"""How a column of metadata divides the images."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from medexp.errors import DataError

MISSING = "(missing)"
_MOST = 50  # values of one column
_FEW_NUMBERS = 6  # that are taken as they are
_RANGES = 4
_OLDEST = 130
_IDENTITY = re.compile(r"\b(u?id|identifier|mrn|accession|accession number|patient|subject|person)$")
_AGE = re.compile(r"\bages?\b")


@dataclass(frozen=True)
class Parts:
    """The images (bool, n) of each subgroup, by its name, in an order that a person expects."""

    of: dict[str, np.ndarray]


@dataclass(frozen=True)
class Unfit:
    """A column that divides nothing, and why."""

    reason: str


def subgroup_columns(there: Collection[str], asked: str | Sequence[str]) -> list[str]:
    """Return the columns that subgroups are made by.

    Args:
        there: columns of metadata that the data have.
        asked: names of columns; `all`, or `none`.

    Raises:
        DataError: a column that was asked for is not there.
    """
    if isinstance(asked, str):
        return [] if asked == "none" else list(there)
    if absent := [name for name in asked if name not in there]:
        found = f"There is: {', '.join(there)}" if there else "The data has no metadata columns"
        raise DataError(
            f"Subgroups need columns that the data has. Received: {', '.join(absent)}. {found}. "
            "Override: evaluation.subgroups=all, or [<column>, ...]"
        )
    return list(asked)


def parts_of_column(
    name: str, values: Sequence[str], *, smallest: int, groups: Sequence[str] | None = None
) -> Parts | Unfit:
    """Return the subgroups of a column: its values, or ranges of its numbers, of at least `smallest` images each.

    Ages are cut at decades, and decades of few images joined with the next ones; other numbers with more than six
    values into quarters of about equally many images. Images without a value are a subgroup of their own.

    Args:
        name: of the column.
        values: n, "" where one is missing.
        smallest: images of a range of numbers; a value of text may have fewer.
        groups: of the images, n: a column that says the same is no division.
    """
    texts = np.asarray([value.strip() for value in values], dtype=str)
    present = texts != ""
    distinct = np.unique(texts[present])
    missing = {} if present.all() else {MISSING: ~present}
    if len(distinct) + len(missing) < 2:
        return Unfit("has one value only" if len(distinct) else "has no values")
    if _IDENTITY.search(_words(name)) or (groups is not None and _same_division(texts, groups)):
        return Unfit("names patients, or the like")
    numbers = _numbers(texts[present])
    if numbers is not None and len(distinct) > _FEW_NUMBERS:
        if len(distinct) == len(texts) and len(texts) > _MOST and (numbers == np.rint(numbers)).all():
            return Unfit("is a whole number of its own for each image")
        ranges = _decades(numbers, smallest) if _is_age(name, numbers) else _quarters(numbers, smallest)
        if len(ranges) < 2:
            return Unfit(f"has too few images for two ranges of {smallest}")
        return Parts({**{text: _spread(part, present) for text, part in ranges.items()}, **missing})
    if len(distinct) > _MOST:
        return Unfit(f"has {len(distinct)} values, more than {_MOST}")
    ordered = distinct if numbers is None else sorted(distinct, key=float)
    return Parts({**{str(value): texts == value for value in ordered}, **missing})


def _words(name: str) -> str:
    """Lower case, with spaces between: of patient_id, PatientID and "Patient-ID"."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return " ".join(re.findall(r"[^\W\d_]+", apart.lower()))


def _same_division(values: np.ndarray, groups: Sequence[str]) -> bool:
    """Whether each value is of one group and each group has one value, and there are several images to a group."""
    pairs = len(set(zip(values.tolist(), groups, strict=True)))
    return pairs == len(np.unique(values)) == len(set(groups)) < len(values)


def _numbers(texts: np.ndarray) -> np.ndarray | None:
    try:
        numbers = texts.astype(np.float64)
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _is_age(name: str, numbers: np.ndarray) -> bool:
    return bool(_AGE.search(_words(name)) and numbers.min() >= 0 and _RANGES * 10 < numbers.max() <= _OLDEST)


def _decades(numbers: np.ndarray, smallest: int) -> dict[str, np.ndarray]:
    decades = (numbers // 10).astype(int)
    joined: list[list[int]] = [[]]
    for decade in np.unique(decades):
        if joined[-1] and np.isin(decades, joined[-1]).sum() >= smallest:
            joined.append([])
        joined[-1].append(int(decade))
    if len(joined) > 1 and np.isin(decades, joined[-1]).sum() < smallest:
        last = joined.pop()
        joined[-1] += last
    return {f"{part[0] * 10} to {part[-1] * 10 + 9}": np.isin(decades, part) for part in joined}


def _quarters(numbers: np.ndarray, smallest: int) -> dict[str, np.ndarray]:
    count = min(_RANGES, len(numbers) // max(smallest, 1))
    if count < 2:
        return {}
    edges = np.unique(np.quantile(numbers, np.arange(1, count) / count, method="inverted_cdf"))
    codes = np.searchsorted(edges, numbers)  # an edge is in the range below it
    parts = [codes == code for code in np.unique(codes)]
    return {f"{numbers[part].min():g} to {numbers[part].max():g}": part for part in parts}


def _spread(part: np.ndarray, present: np.ndarray) -> np.ndarray:
    every = np.zeros(len(present), bool)
    every[present] = part
    return every
