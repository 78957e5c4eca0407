"""Golden images: what a bundle must answer, whatever machine and versions it has come to."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from medexp.errors import RegistryError
from medexp.registry.engine.base import Outputs
from medexp.types import InputSpec

FILE = "golden.npz"
TOLERANCE = 1e-4  # in probability: another processor adds up in another order
_FEATURES = 1e-3  # of the largest feature
_LEVELS = 1.0  # of 255: another version of Pillow may round the other way


@dataclass(frozen=True)
class Golden:
    """Images and what Keras said of them when the bundle was written.

    Args:
        pixels: prepared, (n, height, width, channels): images of validation, and last what `chart` becomes.
        probabilities: of each class, (n, classes).
        features: (n, d).
        chart: an image file of another size than the network's, drawn by a program: reading it tries decoder and
            resizing too. Its answer is not compared: no network has learnt to answer it, and one that was hardly
            trained may give it features a thousand times as large as those of images, and its rounding grows likewise.
    """

    pixels: np.ndarray
    probabilities: np.ndarray
    features: np.ndarray
    chart: bytes

    def write(self, folder: Path) -> None:
        """Write `golden.npz` into `folder`."""
        np.savez_compressed(
            folder / FILE,
            pixels=self.pixels,
            probabilities=self.probabilities,
            features=self.features,
            chart=np.frombuffer(self.chart, np.uint8),
        )

    @classmethod
    def read(cls, folder: Path) -> Golden:
        """Read what `write` wrote (or RegistryError)."""
        try:
            with np.load(folder / FILE, allow_pickle=False) as found:
                return cls(found["pixels"], found["probabilities"], found["features"], found["chart"].tobytes())
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise RegistryError(f"The golden images cannot be read ({error}). Received: {folder / FILE}.") from error

    def check(self, read: Callable[[bytes], np.ndarray], run: Callable[[np.ndarray], Outputs], *, where: str) -> None:
        """Have the golden images read and answered again.

        Args:
            read: a file to prepared pixels.
            run: the engine.
            where: which bundle and engine, for the error.

        Raises:
            RegistryError: the chart is prepared in another way, or an answer is another one.
        """
        if len(self.pixels) < 2:
            raise RegistryError(
                f"There are no golden images beside the test chart. Received: {where}. "
                "Fetch the bundle again from the registry, or train anew."
            )
        pixels = read(self.chart)
        if pixels.shape != self.pixels.shape[1:]:
            raise RegistryError(
                f"The golden images are not of the network's size. Received: {where} with {self.pixels.shape[1:]}, "
                f"prepared here {pixels.shape}. Fetch the bundle again from the registry, or train anew."
            )
        apart = float(np.abs(pixels.astype(float) - self.pixels[-1].astype(float)).max())
        if apart > _LEVELS * (257 if self.pixels.dtype == np.uint16 else 1):
            raise RegistryError(
                f"Images are not prepared here as they were for training. Received: {where}, whose test chart differs "
                f"by {apart:g} levels. Install the versions that the passport names."
            )
        wanted = self.probabilities.shape, self.features.shape
        for found in (_one_by_one(run, self.pixels), run(self.pixels)):
            if (found.probabilities.shape, found.features.shape) != wanted:
                raise RegistryError(
                    f"The graph does not answer as its passport says. Received: {where} with outputs of shape "
                    f"{found.probabilities.shape} and {found.features.shape}, wanted {wanted[0]} and {wanted[1]}."
                )
            difference = float(np.abs(found.probabilities - self.probabilities)[:-1].max())
            features = float(np.abs(found.features - self.features)[:-1].max())
            allowed = _FEATURES * max(float(np.abs(self.features[:-1]).max()), 1e-6)
            if not (difference <= TOLERANCE and features <= allowed):
                raise RegistryError(
                    f"The bundle does not answer here as it did when it was written. Received: {where}, whose golden "
                    f"images differ by up to {difference:.2g} in probability (allowed {TOLERANCE:g}) and "
                    f"{features:.2g} in features (allowed {allowed:.2g}). Install the versions that the passport names."
                )


def draw_chart(spec: InputSpec) -> bytes:
    """Return a PNG of gradients and fine patterns, larger than `spec` and of another aspect ratio."""
    height, width = spec.height * 3 // 2 + 5, spec.width * 5 // 4 + 3
    y, x = np.mgrid[0:height, 0:width]
    waves = np.sin(x * x / width / 2) * np.cos(y * y / height / 3)
    layers = [x / width, y / height, (waves + 1) / 2]
    top = 65535 if spec.bits == 16 else 255
    grey = np.round(sum(layers) / 3 * top).astype(spec.dtype)
    if spec.channels == 1 or spec.bits == 16:
        picture = Image.fromarray(grey)
    else:
        picture = Image.fromarray(np.round(np.stack(layers, axis=-1) * top).astype(np.uint8))
    picture.save(buffer := io.BytesIO(), "PNG", optimize=True)
    return buffer.getvalue()


def _one_by_one(run: Callable[[np.ndarray], Outputs], pixels: np.ndarray) -> Outputs:
    found = [run(pixels[i : i + 1]) for i in range(len(pixels))]
    return Outputs(
        np.concatenate([one.probabilities for one in found]), np.concatenate([one.features for one in found])
    )
