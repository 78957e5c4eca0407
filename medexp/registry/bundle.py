"""The bundle: a folder with all that serving needs, and the passport that says what it is."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import numpy as np

from medexp.decision.feature_space import FILE as SPACE_FILE
from medexp.decision.feature_space import FeatureSpace
from medexp.errors import RegistryError
from medexp.imaging.limits import MAX_PIXELS
from medexp.imaging.read import read
from medexp.registry.checksum import require_unchanged
from medexp.registry.classification import Classification, classification
from medexp.registry.engine.base import Engine, MissingRuntimeError, Outputs
from medexp.registry.engine.open import open_engine
from medexp.registry.golden import FILE as GOLDEN_FILE
from medexp.registry.golden import Golden
from medexp.registry.passport import EngineRecord, Passport, read_passport

logger = logging.getLogger(__name__)


class Bundle:
    """A bundle whose files are unchanged, ready to classify.

    Example:
        bundle = Bundle.open(Path("outputs/runs/<run id>/bundle"))
        bundle.verify()
        bundle.classify(Path("chest.png").read_bytes()).label
    """

    def __init__(self, path: Path, passport: Passport, *, engine: Engine, record: EngineRecord) -> None:
        self.path = path
        self.passport = passport
        self.engine = record
        self._engine = engine
        self._space = _read_space(path)

    @classmethod
    def open(cls, path: Path, *, threads: int = 0, engine: str | None = None) -> Bundle:
        """Read the bundle in folder `path`, and its first engine whose runtime is installed.

        Args:
            path: of the bundle.
            threads: that compute one answer; 0: the engine decides.
            engine: this one only.

        Raises:
            RegistryError: no bundle, a newer format, a changed or missing file, pixels prepared in another way than
                this version of medexp prepares them, or no engine that can be run here.
        """
        passport = read_passport(path)
        needed = {SPACE_FILE, GOLDEN_FILE, *(("model.bin",) if "model.xml" in passport.files else ())}
        if unlisted := sorted(needed - set(passport.files)):
            raise RegistryError(
                f"The passport holds no checksum of files that it needs. Received: {path} without "
                f"{', '.join(unlisted)}. Fetch the bundle again from the registry, or train anew."
            )
        require_unchanged(path, passport.files)
        if passport.preprocessing != passport.input.digest:
            raise RegistryError(
                f"The model was trained on pixels prepared in another way. Received: preprocessing "
                f"{passport.preprocessing}, this version of medexp has {passport.input.digest}. Train it anew."
            )
        record, opened = _first_installed(path, passport, threads=threads, only=engine)
        return cls(path, passport, engine=opened, record=record)

    def verify(self) -> None:
        """Have the golden images read and answered again.

        Raises:
            RegistryError: one is not answered here as it was when the bundle was written.
        """
        golden = Golden.read(self.path)
        golden.check(self.read, self.outputs, where=f"{self.path} ({self.engine.kind})")

    def read(self, data: bytes, *, name: str = "image", max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """Return an encoded image as the network sees it (or DataError).

        Of type `passport.input.dtype` and shape `passport.input.shape`: the same pixels as in training.
        """
        return read(data, self.passport.input, name=name, max_pixels=max_pixels).pixels

    def outputs(self, batch: np.ndarray) -> Outputs:
        """Return all that the graph says of prepared pixels (batch, *input.shape), in one pass."""
        return self._engine(batch)

    def probabilities(self, batch: np.ndarray) -> np.ndarray:
        """Return `float32` probabilities, shape (batch, classes), for prepared pixels (batch, *input.shape)."""
        return self._engine(batch).probabilities

    def classify(
        self, data: bytes, *, name: str = "image", max_pixels: int = MAX_PIXELS, explain: bool = False
    ) -> Classification:
        """Classify one encoded image (or DataError), at the stored operating point.

        Args:
            data: a PNG, JPEG, TIFF, BMP, WebP or DICOM file.
            name: what to call it in an error.
            max_pixels: width times height allowed.
            explain: whether to hand on the class activation map.
        """
        outputs = self.outputs(self.read(data, name=name, max_pixels=max_pixels)[np.newaxis])
        return classification(outputs, passport=self.passport, space=self._space, explain=explain)


def _first_installed(path: Path, passport: Passport, *, threads: int, only: str | None) -> tuple[EngineRecord, Engine]:
    """Open the first engine that agrees with Keras and whose runtime is installed."""
    usable = [engine for engine in passport.engines if engine.agrees and only in (None, engine.kind)]
    problems = []
    for record in usable:
        try:
            opened = open_engine(record.kind, path / str(record.file), threads=threads)
        except MissingRuntimeError as error:
            problems.append(str(error))
        else:
            if problems:
                logger.warning("%s answers in its place. %s", record.kind, " ".join(problems))
            return record, opened
    listed = "; ".join(f"{e.kind}: {'agrees' if e.agrees else e.why_not}" for e in passport.engines)
    raise RegistryError(
        f"None of the bundle's engines can be run here. Received: engine={only or 'any'}, {path} has {listed}. "
        + " ".join(problems)
    )


def _read_space(path: Path) -> FeatureSpace:
    try:
        return FeatureSpace.read(path / SPACE_FILE)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise RegistryError(
            f"The bundle's feature space cannot be read. Received: {path / SPACE_FILE} ({error})."
        ) from error
