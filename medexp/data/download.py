"""Fetch a published file."""

from __future__ import annotations

import hashlib
import http.client
import logging
import urllib.request
import uuid
from pathlib import Path

from medexp.errors import DataError

logger = logging.getLogger(__name__)
_CHUNK = 1 << 20


def download(url: str, to: Path, *, md5: str, timeout: float, otherwise: str) -> None:
    """Write the file at `url` to `to`, whole or not at all; never more than a chunk of it is in memory.

    Args:
        url: http or https.
        to: where it goes; the folder is made.
        md5: of the published file, hexadecimal.
        timeout: seconds without an answer before it is given up.
        otherwise: what the user can do without it, for the error.

    Raises:
        DataError: it cannot be fetched or written, broke off, or is another file.
    """
    part = to.with_name(f".{to.name}.{uuid.uuid4().hex}.part")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        digest = _fetch(url, part, timeout)
        if digest != md5:
            raise DataError(
                f"The download is not the published file. Received: MD5 {digest} from {url}, expected {md5}. Nothing "
                f"was kept. {otherwise}"
            )
        part.replace(to)
    except (http.client.HTTPException, OSError, ValueError) as error:  # ValueError: not a URL
        raise DataError(
            f"{to.name} is not on this machine and could not be downloaded ({getattr(error, 'reason', error)}). "
            f"Received: {url}. {otherwise}"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _fetch(url: str, part: Path, timeout: float) -> str:
    """Return the MD5 of what was written."""
    logger.info("downloading %s", url)
    digest = hashlib.md5(usedforsecurity=False)
    with urllib.request.urlopen(url, timeout=timeout) as response, part.open("wb") as file:  # noqa: S310  the user's URL
        size = int(response.headers.get("Content-Length") or 0)
        done, told = 0, 0
        while chunk := response.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
            done += len(chunk)
            if size and done * 10 // size > told and size > 100 * _CHUNK:
                told = done * 10 // size
                logger.info("downloading %s: %d %% of %.1f GB", url, told * 10, size / 1e9)
        if done < size:
            raise OSError(f"it broke off after {done:,} of {size:,} bytes")
    return digest.hexdigest()
