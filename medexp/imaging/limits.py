"""What is refused from a file's header, before a pixel of it is decoded."""

from __future__ import annotations

import io

from medexp.errors import DataError

MAX_PIXELS = 50_000_000
MAX_SIDE = 20_000
MAX_READS = 300_000  # of a file with a directory, one or two for each entry; larger files may have more
BYTES_PER_READ = 1000
READS_PER_BYTE = 4  # of a file whose entries may point at the same bytes


def check_size(width: int, height: int, *, name: str, max_pixels: int) -> None:
    """Refuse an image that is empty, too large or too long.

    Raises:
        DataError: fewer than one or more than `max_pixels` pixels, or a side above `MAX_SIDE`.
    """
    if width < 1 or height < 1:
        raise DataError(f"The image has no pixels. Received: {name} with {width} x {height}.")
    if width * height > max_pixels:
        raise DataError(
            f"The image has too many pixels. Received: {name} with {width} x {height}; "
            f"at most {max_pixels:,} are allowed. Send a smaller image."
        )
    if max(width, height) > MAX_SIDE:
        raise DataError(
            f"The image is too long. Received: {name} with {width} x {height}; "
            f"a side of at most {MAX_SIDE:,} is allowed. Send a smaller image."
        )


class Metered(io.BytesIO):
    """A file in memory that may be read only so often and so much.

    A deadline that does not depend on the machine: a directory of a million entries, or of entries that all point at
    the same ten megabytes, ends in a `DataError` after about the same work everywhere.
    """

    def __init__(self, data: bytes, *, name: str) -> None:
        super().__init__(data)
        self._name = name
        self._reads = MAX_READS + len(data) // BYTES_PER_READ
        self._bytes = READS_PER_BYTE * len(data) + (1 << 20)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as `BytesIO` does (or DataError, once the file has been read too often)."""
        data = super().read(size)
        self._reads -= 1
        self._bytes -= len(data)
        if self._reads < 0 or self._bytes < 0:
            raise DataError(
                f"The file is built so that reading it would not end soon. Received: {self._name}, with too many "
                "entries, or entries that overlap. Save the image anew in another program."
            )
        return data
