"""From the values a DICOM file stores to grey levels and colours: PS3.3 C.7.6.3, C.11.1 and C.11.2."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from medexp.errors import DataError
from medexp.imaging.dicom_frame import RLE, Header
from medexp.imaging.intensity import Intensity, between, counted, levels, looked_up, mapped, percentile_of

if TYPE_CHECKING:
    from pydicom import Dataset

Curve = Callable[[np.ndarray], np.ndarray]
ENTRIES = 1 << 16  # that a table may have
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", RLE)
COLOURS = ("Red", "Green", "Blue")


def shown(
    pixels: np.ndarray, header: Header, dataset: Dataset, index: int, intensity: Intensity, *, name: str
) -> np.ndarray:
    """Return frame `index` as it is to be shown: `uint8`, `uint16` for more than 8 stored bits, grey or RGB.

    Args:
        pixels: the frame as stored, YBR already RGB.
        header: of the file.
        dataset: the elements before the pixels.
        index: of the frame, for functional groups.
        intensity: what is black and white.
        name: of the file, for errors.

    Raises:
        DataError: a window or table that is none, or values without a range.
    """
    if header.samples == 3:
        return _colour(pixels, header.stored, intensity, name=name)
    if header.photometric == "PALETTE COLOR":
        palette = _palette(dataset)
        first = int(dataset.RedPaletteColorLookupTableDescriptor[1])
        patterns, values = _domain(pixels, header)
        places = np.clip(values - _signed(first, header), 0, len(palette) - 1).astype(np.int64)
        return _colour(looked_up(patterns, palette[places]), palette.itemsize * 8, intensity, name=name)
    if not header.photometric.startswith("MONOCHROME"):
        raise DataError(
            f"Colours of this kind cannot be read. Received: {name} with {header.photometric} of one sample per pixel."
        )
    return _grey(pixels, header, dataset, index, intensity, name=name)


def _grey(
    pixels: np.ndarray, header: Header, dataset: Dataset, index: int, intensity: Intensity, *, name: str
) -> np.ndarray:
    modality, full = _modality(_group(dataset, "PixelValueTransformationSequence", index), header, name=name)
    small = pixels.dtype.itemsize <= 2
    patterns, values = _domain(pixels, header) if small else (pixels, np.empty(0))

    def percentile(percents: tuple[float, float]) -> tuple[float, float]:
        if not small:
            low, high = np.percentile(_finite(pixels, name=name), percents)
            ends = modality(np.array([low, high]))
            return float(ends.min()), float(ends.max())
        counts = counted(patterns, len(values))
        counts[_padding(values, dataset, header)] = 0
        return percentile_of(modality(values), counts, percents)

    curve = (
        _voi(_group(dataset, "FrameVOILUTSequence", index), header, name=name) if intensity.policy == "file" else None
    )
    if curve is None:
        black, white = intensity.ends(full, percentile, name=name)
        curve = _line(black, white)
    inverted = header.photometric == "MONOCHROME1"

    def rule(stored: np.ndarray) -> np.ndarray:
        fraction = curve(modality(np.asarray(stored, np.float64)))
        return 1 - fraction if inverted else fraction

    if small:
        return looked_up(patterns, levels(rule(values), header.stored))
    return mapped(pixels, rule, 16)


def _domain(pixels: np.ndarray, header: Header) -> tuple[np.ndarray, np.ndarray]:
    """The pixels as unsigned patterns, and the stored value of every pattern: a table is as good as the arithmetic."""
    kind = np.dtype(f"u{pixels.dtype.itemsize}")
    patterns = np.arange(1 << 8 * kind.itemsize, dtype=np.int64).astype(kind)
    if header.syntax not in NATIVE:  # decoders give values
        return pixels.view(kind), patterns.view(pixels.dtype).astype(np.float64)
    bits = patterns.astype(np.int64) >> header.shift & (1 << header.stored) - 1  # the others may be an overlay
    if header.signed:
        bits = np.where(bits >> header.stored - 1, bits - (1 << header.stored), bits)
    return pixels.view(kind), bits.astype(np.float64)


def _colour(pixels: np.ndarray, stored: int, intensity: Intensity, *, name: str) -> np.ndarray:
    if intensity.policy in ("file", "full") and stored in (8, 16) and pixels.dtype.itemsize * 8 == stored:
        return np.ascontiguousarray(pixels)
    if pixels.dtype.kind != "u" or pixels.dtype.itemsize > 2:
        raise DataError(f"Colours of more than 16 bits, or signed, cannot be read. Received: {name}.")
    values = np.arange(1 << 8 * pixels.dtype.itemsize, dtype=np.float64)

    def percentile(percents: tuple[float, float]) -> tuple[float, float]:
        return percentile_of(values, counted(pixels, len(values)), percents)

    black, white = intensity.ends((0, 2**stored - 1), percentile, name=name)
    return looked_up(pixels, levels(between(values, black, white), stored))


def _modality(item: Dataset, header: Header, *, name: str) -> tuple[Curve, tuple[float, float] | None]:
    """From stored values to those of the modality (Hounsfield units), and the range they can have."""
    if item.get("ModalityLUTSequence"):
        table, first, bits = _table(item.ModalityLUTSequence[0], header)
        return lambda values: table[_places(values, first, table)], (0.0, float(2**bits - 1))
    slope, intercept = float(item.get("RescaleSlope", 1) or 1), float(item.get("RescaleIntercept", 0) or 0)
    if not np.isfinite([slope, intercept]).all():
        raise DataError(f"The rescale is no number. Received: {name} with slope {slope}, intercept {intercept}.")
    if header.floating:
        return lambda values: values * slope + intercept, None
    half = 1 << header.stored - 1
    ends = np.array([-half, half - 1] if header.signed else [0, 2 * half - 1]) * slope + intercept
    return lambda values: values * slope + intercept, (float(ends.min()), float(ends.max()))


def _voi(item: Dataset, header: Header, *, name: str) -> Curve | None:
    """How the file says that it is to be shown; None where it does not."""
    if item.get("VOILUTSequence"):
        table, first, bits = _table(item.VOILUTSequence[0], header)
        return lambda values: np.clip(table[_places(values, first, table)] / (2**bits - 1), 0, 1)
    centre, width = _first(item.get("WindowCenter")), _first(item.get("WindowWidth"))
    if centre is None or width is None:
        return None
    function = str(item.get("VOILUTFunction") or "LINEAR")
    if not np.isfinite([centre, width]).all() or width <= 0 or (function == "LINEAR" and width < 1):
        raise DataError(
            f"The window of the file is none. Received: {name} with WindowCenter={centre}, WindowWidth={width}, "
            f"{function}. Override: data.input.intensity=full"
        )
    if function == "SIGMOID":
        return lambda values: 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
    if function == "LINEAR_EXACT":
        return _line(centre - width / 2, centre + width / 2)
    if function == "LINEAR":
        return _line(centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)
    raise DataError(
        f"The window of the file has an unknown function. Received: {name} with {function}. "
        "Override: data.input.intensity=full"
    )


def _line(black: float, white: float) -> Curve:
    return lambda values: between(values, black, white)


def _group(dataset: Dataset, sequence: str, index: int) -> Dataset:
    """Where an enhanced file keeps such facts: with the frame, with all frames; else the file itself."""
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for owner in (*frames[index : index + 1], *shared[:1]):
        if owner.get(sequence):
            item: Dataset = owner[sequence].value[0]
            return item
    return dataset


def _table(item: Dataset, header: Header) -> tuple[np.ndarray, int, int]:
    """Entries of a lookup table, the stored value of the first, and the bits of an entry."""
    entries, first, bits = (int(value) for value in item.LUTDescriptor)
    return _entries(item.LUTData, entries or ENTRIES, bits).astype(np.float64), _signed(first, header), bits


def _entries(data: Any, entries: int, bits: int) -> np.ndarray:
    if not 1 <= bits <= 16:
        raise ValueError("a table of more than 16 bits")
    if isinstance(data, bytes):
        table = np.frombuffer(data, np.uint8 if len(data) < 2 * entries else "<u2")
    else:
        table = np.asarray(data, np.int64).astype(np.uint16)
    if len(table) < entries:
        raise ValueError("a table shorter than it says")
    return np.asarray(table[:entries])


def _places(values: np.ndarray, first: int, table: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(np.nan_to_num(np.rint(values - first)), 0, len(table) - 1), dtype=np.int64)


def _palette(dataset: Dataset) -> np.ndarray:
    """Colours by place, (entries, 3), `uint8` or `uint16`."""
    columns = []
    for colour in COLOURS:
        entries, _, bits = (int(value) for value in dataset[f"{colour}PaletteColorLookupTableDescriptor"].value)
        entries = entries or ENTRIES
        plain = dataset.get(f"{colour}PaletteColorLookupTableData")
        if plain is None:
            column = _segments(dataset[f"Segmented{colour}PaletteColorLookupTableData"].value, bits)
            column = column[:entries]
        else:
            column = _entries(plain, entries, bits)
        columns.append(column.astype(np.uint8) if bits <= 8 else column.astype(np.uint16))
    return np.stack(columns, axis=-1)


def _segments(data: bytes, bits: int) -> np.ndarray:
    """A segmented table written out (PS3.3 C.7.9.2): discrete and linear segments."""
    words = np.frombuffer(data, np.uint8 if bits <= 8 else "<u2").astype(np.int64)
    parts: list[np.ndarray] = [np.empty(0)]
    place = written = 0
    while place + 2 < len(words):
        kind, length = int(words[place]), int(words[place + 1])
        written += length
        if written > ENTRIES or kind > 1 or (kind == 1 and not parts[-1].size):
            raise ValueError("a segment that cannot be read")
        if kind == 0:
            parts.append(words[place + 2 : place + 2 + length].astype(np.float64))
            place += 2 + length
        else:
            parts.append(np.linspace(parts[-1][-1], words[place + 2], length + 1)[1:])
            place += 3
    return np.asarray(np.rint(np.concatenate(parts)))


def _padding(values: np.ndarray, dataset: Dataset, header: Header) -> np.ndarray:
    """Which stored values stand for no measurement (PS3.3 C.7.5.1.1.2)."""
    padding = dataset.get("PixelPaddingValue")
    if padding is None:
        return np.zeros(len(values), bool)
    ends = sorted(_signed(int(end), header) for end in (padding, dataset.get("PixelPaddingRangeLimit", padding)))
    return np.asarray((values >= ends[0]) & (values <= ends[1]))


def _signed(value: int, header: Header) -> int:
    """A value that was read as unsigned, because its element does not say."""
    return value - (1 << 16) if header.signed and value >= 1 << 15 else value


def _first(value: Any) -> float | None:
    """Of the windows a file offers, the first."""
    if value is None or value == "":
        return None
    if isinstance(value, (str, int, float)) or not hasattr(value, "__len__"):
        return float(value)
    return float(value[0]) if len(value) else None


def _finite(pixels: np.ndarray, *, name: str) -> np.ndarray:
    finite = pixels[np.isfinite(pixels)]
    if not finite.size:
        raise DataError(f"The image holds no number. Received: {name}, all NaN or infinite.")
    return np.asarray(finite)
