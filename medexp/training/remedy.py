"""What lies behind an error of a library, and what mends it."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from medexp.errors import DataError

# The last one is NumPy's, which gives no number.
DISK = (
    r"No space left on device|[Dd]isk quota exceeded|database or disk is full|File too large|requested and \d+ written"
)
FILES = r"Too many open files"
MEMORY = r"OOM when allocating|RESOURCE_EXHAUSTED|ResourceExhausted|[Oo]ut of memory|OUT_OF_MEMORY|STATUS_ALLOC_FAILED"
HOST_MEMORY = r"Cannot allocate memory|std::bad_alloc|MemoryError"
CUDA = (
    r"libcu\w+\.so|libnvinfer|DNN library (is not found|initialization)|CuDNN library|CUDA driver version|"
    r"no kernel image is available|CUDA_ERROR_(NO_DEVICE|INVALID|SYSTEM)|[Ff]ailed call to cuInit|libdevice not found"
)
NONDETERMINISTIC = r"[Dd]eterminis\w+ .*(not|un)( currently)? ?(available|supported|implemented)|op[- ]determinism"
NOT_A_NUMBER = r"Tensor had (NaN|Inf)|NaN and Inf|(invalid value|overflow) encountered"
IMAGE = r"cannot identify image file|image file is truncated|broken data stream|Truncated File Read"
_OURS = re.compile(r"^(?:medexp\.errors\.)?DataError: (.+)$", re.MULTILINE)  # raised where TensorFlow asks for a batch


def remedy(error: BaseException, *, batch_size: int | None = None, outputs: Path | None = None) -> str | None:
    """Return the cause of an unexpected error in a sentence, and what to override; None for an unknown one.

    An error is known by its type, its number or its words, or by those of the one that caused it. The ones that come
    out of a graph are of TensorFlow's types and carry the words of the first.

    Args:
        error: as it was caught.
        batch_size: of the training.
        outputs: the folder that it writes to, for an error that names none.
    """
    for each in _chain(error):
        text = f"{type(each).__name__}: {each}"
        if found := _OURS.search(str(each)):
            return found[1].strip()
        if isinstance(each, DataError):
            return str(each)
        number = each.errno if isinstance(each, OSError) else None
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or re.search(DISK, text):
            return _disk(each, outputs)
        if number in (errno.EMFILE, errno.ENFILE) or re.search(FILES, text):
            return (
                "The process has as many files open as it may. Allow more (ulimit -n 8192), or override: "
                "data.workers=1 data.cache.workers=1"
            )
        if re.search(MEMORY, text):
            return f"The device has no memory left for a step. {_smaller(batch_size)}"
        if isinstance(each, MemoryError) or number == errno.ENOMEM or re.search(HOST_MEMORY, text):
            return f"The computer has no memory left. {_smaller(batch_size)} Other programs may hold the rest."
        if re.search(CUDA, text):
            return (
                "The GPU cannot be used: a library of CUDA, or the driver, is missing or does not fit TensorFlow. "
                "Install what does (pip install -e .[gpu]), or train on the CPU: CUDA_VISIBLE_DEVICES=-1 python "
                "scripts/train.py ..."
            )
        if re.search(NONDETERMINISTIC, text):
            return (
                "The GPU has no deterministic way to do an operation of this network. Override: "
                "runtime.deterministic=false (two runs may then differ in their last digits)"
            )
        if isinstance(each, FloatingPointError) or re.search(NOT_A_NUMBER, text):
            return (
                "A number became infinite, or none at all. Override: trainer.precision=float32, a smaller "
                "optimizer.learning_rate, or optimizer.clipnorm=1"
            )
        if re.search(IMAGE, text):
            return (
                f"An image is damaged{_named(each)}. Restore or remove it; python scripts/audit.py data=... lists all "
                "that cannot be read"
            )
        if isinstance(each, FileNotFoundError) or "FileNotFoundError" in text:
            return f"A file is not there any more{_named(each)}. Put it back, or start anew without it"
        if isinstance(each, PermissionError):
            return f"A file may not be read or written{_named(each)}. Change its rights, or override: paths.outputs=..."
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, as Python would show them."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)


def _smaller(batch_size: int | None) -> str:
    """Which overrides take less memory."""
    if batch_size is None:
        return "Override: a smaller data.batch_size, or data.input.height."
    if batch_size < 2:
        return f"A batch is one image already (data.batch_size={batch_size}). Override: a smaller data.input.height."
    half = batch_size // 2
    return (
        f"Override: data.batch_size={half}, with optimizer.gradient_accumulation_steps=2 for the steps of a batch of "
        f"{2 * half}; or a smaller data.input.height."
    )


def _disk(error: BaseException, outputs: Path | None) -> str:
    """Which disk is full, or which limit is reached."""
    where = _path(error) or outputs
    text = str(error)
    if "File too large" in text:
        limit = "a limit on the size of a file is reached (ulimit -f)"
    elif "quota" in text or getattr(error, "errno", None) == errno.EDQUOT:
        limit = "the quota is used up"
    else:
        limit = "the disk is full"
    if where is None:
        return f"Nothing more can be written: {limit}. Make room, or override: paths.outputs=<a folder on another disk>"
    place = next((folder for folder in (where, *where.absolute().parents) if folder.is_dir()), None)
    free = "" if place is None else f", {_size(shutil.disk_usage(place).free)} free"
    return f"{where} cannot be written: {limit}{free}. Make room, or override: paths.outputs=<a folder on another disk>"


def _named(error: BaseException) -> str:
    path = _path(error)
    return "" if path is None else f" ({path})"


def _path(error: BaseException) -> Path | None:
    """The file that an error is about: its own, or the first one in its words."""
    name = getattr(error, "filename", None)
    if isinstance(name, str):
        return Path(name)
    found = re.search(r"filename = '([^']+)'|'(/[^']+)'|(/[^;:'\"\n]+); No space", str(error))
    return Path(next(part for part in found.groups() if part)) if found else None


def _size(count: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count //= 1000
    return f"{count} TB"
