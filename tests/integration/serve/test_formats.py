"""The service reads what training reads: the same formats, by the same function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import GREY, dicom, encoded
from serving import Service, assert_problem

from medexp.imaging.decode import FORMATS
from medexp.imaging.read import read
from medexp.registry.bundle import Bundle

LARGE = np.tile(GREY, (3, 3))  # JPEG 2000 wants 32 pixels a side or more
WIDE = LARGE.astype(np.uint16) * 257
SENT = {
    "dicom": dicom(WIDE),
    "dicom-monochrome1": dicom(65535 - WIDE, PhotometricInterpretation="MONOCHROME1"),
    "dicom-jpeg-2000": dicom(WIDE, syntax="1.2.840.10008.1.2.4.90"),
    "dicom-rle": dicom(WIDE, syntax="1.2.840.10008.1.2.5"),
    "png-16": encoded(WIDE),
    "tiff": encoded(LARGE, "TIFF"),
    "bmp": encoded(LARGE, "BMP"),
}


@pytest.mark.parametrize("kind", SENT)
def test_the_pixels_are_those_of_training(kind: str, service: Service, bundle: Path) -> None:
    opened = Bundle.open(bundle)
    pixels = read(SENT[kind], opened.passport.input).pixels
    plain = read(encoded(LARGE), opened.passport.input).pixels
    assert np.abs(pixels.astype(int) - plain).max() <= 1  # Pillow rounds 8 bits after each of two passes
    answer = service.predict(SENT[kind], "scan")
    assert answer.status_code == 200, answer.text
    wanted = opened.probabilities(pixels[np.newaxis])[0]
    assert list(answer.json()["probabilities"].values()) == pytest.approx(wanted.tolist(), abs=1e-6)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (dicom(np.stack([WIDE, WIDE])), "several images"),
        (dicom(WIDE, Rows=60_000, Columns=800), "too long"),
        (dicom(WIDE)[:-900], "promises more pixels"),
    ],
    ids=["frames", "long", "truncated"],
)
def test_dicom_that_cannot_be_classified_is_refused_by_name(service: Service, data: bytes, text: str) -> None:
    assert_problem(service.predict(data, "heart.dcm"), 400, text, "Received: heart.dcm")


def test_the_formats_are_told_and_offered(service: Service) -> None:
    assert service.http.get("/v1/model").json()["accepts"]["formats"] == list(FORMATS)
    assert "DICOM" in FORMATS
    assert ".dcm" in service.http.get("/").text
    described = service.http.get("/openapi.json").text
    assert "PNG, JPEG, TIFF, BMP, WebP or DICOM" in described
