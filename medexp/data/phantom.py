"""Synthetic images with a target that a network must learn and the mean intensity cannot tell."""

from __future__ import annotations

import csv
import logging
import shutil
import uuid
from pathlib import Path

import numpy as np
from PIL import Image

from medexp.data.manifest import ManifestSource
from medexp.data.source import Examples
from medexp.errors import DataError
from medexp.types import digest_of

logger = logging.getLogger(__name__)
IMAGES_PER_PATIENT = 2
CLASSES = ("clear", "nodule")


class PhantomSource:
    """Writes PNG files and a manifest on first use, and reads them back like any other data set.

    Every image shows a patient's own soft background (the same in all images of the patient), a few vessels,
    and one target: a round nodule (class `nodule`) or a streak of the same energy at any angle (class `clear`).
    Brightness and contrast are then drawn anew, regardless of the class, so that neither says anything.

    Args:
        folder: where a sub-folder named by the parameters' digest is written.
        patients: half of them have the nodule; each has two images.
        size: height and width, in pixels.
        contrast: peak of the target, in standard deviations of the background.
        seed: of all of it; the same parameters give the same bytes.

    Raises:
        DataError: fewer than two patients, or images of less than 16 pixels a side.
    """

    def __init__(self, *, folder: str, patients: int, size: int, contrast: float, seed: int) -> None:
        if patients < 2 or size < 16:
            raise DataError(
                f"A phantom needs two patients and 16 pixels. Received: data.patients={patients}, data.size={size}."
            )
        self._parameters = {"version": 1, "patients": patients, "size": size, "contrast": contrast, "seed": seed}
        self._folder = Path(folder) / digest_of(self._parameters)
        self._patients, self._size, self._contrast, self._seed = patients, size, contrast, seed
        self._reader = ManifestSource(
            manifest=str(self._folder / "manifest.csv"), group_column="patient_id", synthetic=True
        )

    def prepare(self) -> None:
        """Write the images, in one step: a killed generation leaves nothing that is later trusted."""
        if self._folder.is_dir():
            return
        count = self._patients * IMAGES_PER_PATIENT
        logger.info("making %d SYNTHETIC images, no patient's, in %s", count, self._folder)
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._folder.parent / f".making-{uuid.uuid4().hex}"
        scratch.mkdir()
        try:
            self._write(scratch)
            scratch.rename(self._folder)
        except OSError:
            if not self._folder.is_dir():  # else another process was first, with the same bytes
                raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def examples(self) -> Examples:
        """Return the images, grouped by patient, without a split of their own."""
        return self._reader.examples()

    def _write(self, folder: Path) -> None:
        (folder / "images").mkdir()
        with (folder / "manifest.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["image", "label", "patient_id"])
            for patient in range(self._patients):
                rng = np.random.default_rng([self._seed, patient])
                background = _smooth_noise(rng, self._size, self._size / 8)
                for number in range(IMAGES_PER_PATIENT):
                    label = CLASSES[patient % 2]
                    name = f"images/p{patient:04d}_{number}.png"
                    Image.fromarray(_draw(rng, background, label == "nodule", self._contrast)).save(folder / name)
                    table.writerow([name, label, f"p{patient:04d}"])


def _draw(rng: np.random.Generator, background: np.ndarray, nodule: bool, contrast: float) -> np.ndarray:
    size = len(background)
    unit = size / 64
    field = background + 0.25 * _smooth_noise(rng, size, 1.5 * unit)
    for _ in range(3):
        field += 0.6 * _blob(rng, size, long=14 * unit, short=0.8 * unit)
    radius = rng.uniform(2.2, 3.2) * unit
    long, short = (radius, radius) if nodule else (radius * 3, radius / 3)
    field += contrast * _blob(rng, size, long=long, short=short)
    field = (field - field.mean()) / field.std()
    pixels = rng.uniform(105, 145) + rng.uniform(30, 42) * field
    return np.asarray(np.clip(np.rint(pixels), 0, 255), dtype=np.uint8)


def _blob(rng: np.random.Generator, size: int, *, long: float, short: float) -> np.ndarray:
    """A Gaussian of standard deviations `long` and `short` (pixels) at a random place and angle, peak 1."""
    y, x = np.mgrid[:size, :size] - rng.uniform(0.2 * size, 0.8 * size, size=(2, 1, 1))
    angle = rng.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return np.asarray(np.exp(-0.5 * ((along / long) ** 2 + (across / short) ** 2)))


def _smooth_noise(rng: np.random.Generator, size: int, scale: float) -> np.ndarray:
    """Gaussian noise blurred to a correlation length of `scale` pixels, mean 0, standard deviation 1."""
    frequency = np.fft.fftfreq(size)
    attenuation = np.exp(-2 * (np.pi * scale) ** 2 * (frequency[:, None] ** 2 + frequency[None, :] ** 2))
    noise = np.real(np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * attenuation))
    return np.asarray((noise - noise.mean()) / noise.std())
