"""The service over HTTP: answers, refusals, headers, the description."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from serving import Service, assert_problem, bomb, png

from medexp.registry.bundle import Bundle


@pytest.mark.parametrize(("size", "mode"), [((16, 16), "L"), ((40, 23), "L"), ((31, 64), "RGB")])
def test_prediction_is_the_bundles(service: Service, bundle: Path, size: tuple[int, int], mode: str) -> None:
    data = png(size, seed=size[0], mode=mode)
    wanted = Bundle.open(bundle).classify(data)
    answer = service.predict(data)
    assert answer.status_code == 200
    body = answer.json()
    assert body["label"] == wanted.label
    assert body["probabilities"] == pytest.approx(wanted.probabilities, abs=1e-6)
    assert sum(body["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert (body["positive"], body["threshold"]) == ("nodule", 0.5)
    assert body["model"] == {"name": "medexp", "version": "1", "alias": "champion", "run_id": "a" * 32}
    assert body["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "empty"),
        (b"GIF89a not an image", "Not a readable image"),
        (png((64, 64))[:-900], "Not a readable image"),
        (bomb(), "too many pixels"),
    ],
    ids=["empty", "garbage", "truncated", "bomb"],
)
def test_unusable_image_is_refused_and_the_service_lives(service: Service, data: bytes, text: str) -> None:
    problem = assert_problem(service.predict(data, "../../etc/evil.png"), 400, text, "Received: evil.png")
    assert problem["type"] == "urn:medexp:problem:unusable-image"
    assert service.predict(png()).status_code == 200


def test_wrong_forms_are_refused(service: Service) -> None:
    post = service.http.post
    assert_problem(post("/v1/predict"), 422, "The image is missing", "named `image`")
    assert_problem(post("/v1/predict", files={"picture": ("a.png", png())}), 422, "body.image")
    assert_problem(post("/v1/predict", json={"image": "aGk="}), 422, "application/json")
    assert_problem(post("/v1/predict", data={"image": "text"}, files={"x": ("a", b"")}), 422, "body.image")
    two = [("image", ("a.png", png())), ("image", ("b.png", png()))]
    assert_problem(post("/v1/predict", files=two), 400, "Too many files")
    headers = {"Content-Type": "multipart/form-data"}
    assert_problem(post("/v1/predict", content=b"no boundary", headers=headers), 400, "cannot be read")
    assert service.predict(png()).status_code == 200


def test_large_bodies_are_refused_while_they_arrive(service: Service) -> None:
    too_large = assert_problem(service.predict(b"x" * 400_000), 413, "at most 300,000")
    assert too_large["type"] == "urn:medexp:problem:too-large"
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield head
        while sent < 200_000_000:
            sent += 100_000
            yield b"x" * 100_000

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    with suppress(httpx.TransportError):  # the service hangs up on a client that never stops
        assert_problem(service.http.post("/v1/predict", content=endless(), headers=headers), 413, "more than 300,000")
    assert sent < 50_000_000
    chunks = iter([head, *[b"x" * 100_000] * 4])
    assert_problem(service.http.post("/v1/predict", content=chunks, headers=headers), 413, "more than 300,000")
    assert service.predict(png((256, 256))).status_code == 200


def test_unknown_paths_and_methods_are_problems(service: Service) -> None:
    assert_problem(service.http.get("/nothing"), 404, "GET /nothing")
    assert_problem(service.http.get("/ui/../settings.py"), 404)
    assert_problem(service.http.get("/docs"), 404)
    assert_problem(service.http.get("/redoc"), 404)
    refused = service.http.get("/v1/predict")
    assert_problem(refused, 405, "Use POST")
    assert refused.headers["allow"] == "POST"


def test_request_ids_are_kept_where_harmless_and_logged(service: Service) -> None:
    assert service.predict(png(), headers={"X-Request-ID": "scan-7.b_1"}).headers["x-request-id"] == "scan-7.b_1"
    for odd in ("a b", "x" * 65, "{}", "é".encode()):
        given = service.http.get("/health/live", headers={"X-Request-ID": odd}).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", given)
    (line,) = (line for line in service.lines() if line.get("request_id") == "scan-7.b_1")
    assert line["run_id"] == "a" * 32
    assert (line["method"], line["path"], line["status"], line["model_version"]) == ("POST", "/v1/predict", 200, "1")
    assert line["ms"] > 0


@pytest.mark.parametrize("path", ["/", "/ui/app.js", "/v1/model", "/nothing"])
def test_every_response_has_the_security_headers(service: Service, path: str) -> None:
    headers = service.http.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "img-src 'self' blob: data:" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


def test_the_model_is_described(service: Service) -> None:
    facts = service.http.get("/v1/model").json()
    assert (facts["name"], facts["version"], facts["run_id"], facts["network"]) == ("medexp", "1", "a" * 32, "tiny")
    assert (facts["classes"], facts["positive"], facts["threshold"]) == (["clear", "nodule"], "nodule", 0.5)
    assert facts["input"] == {
        "height": 16,
        "width": 16,
        "channels": 1,
        "fit": "letterbox",
        "bits": 8,
        "intensity": "file",
        "window": None,
        "percentiles": None,
        "frame": None,
    }
    assert facts["metrics"] == {"auc": 0.75}
    assert facts["intervals"] == {"auc": {"value": 0.75, "low": 0.7, "high": 0.8}}
    assert facts["operating_point"] == {"aim": "youden", "met": True, "sensitivity": {}, "specificity": {}}
    assert (facts["calibration"], facts["coverage"], facts["false_refusal"]) == ("none", 0.9, 0.05)
    assert (facts["intended_use"], facts["not_for"]) == (None, None)
    (engine,) = facts["engines"]
    assert (engine["kind"], engine["agrees"], engine["why_not"]) == ("litert", True, None)
    assert engine["milliseconds"].keys() == {"1", "8"}
    assert facts["data"] == {"name": "phantom", "digest": "d1", "synthetic": True}
    assert facts["engine"] == "litert"
    assert facts["accepts"]["max_bytes"] == 300_000


def test_openapi_names_the_form_and_the_problems(service: Service) -> None:
    schema = service.http.get("/openapi.json").json()
    assert set(schema["paths"]) == {"/v1/predict", "/v1/model", "/health/live", "/health/ready"}
    responses = schema["paths"]["/v1/predict"]["post"]["responses"]
    assert set(responses) == {"200", "400", "413", "422", "503"}
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    assert all(responses[s]["content"] == {"application/problem+json": reference} for s in responses if s != "200")
    form = schema["components"]["schemas"]["Body_predict_v1_predict_post"]
    assert form["required"] == ["image"]


def test_many_clients_get_their_own_answers(service: Service, bundle: Path) -> None:
    opened = Bundle.open(bundle)
    images = [png((20 + n, 30), seed=n) for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(service.predict, images))
    for image, answer in zip(images, answers, strict=True):
        assert answer.json()["probabilities"] == pytest.approx(opened.classify(image).probabilities, abs=1e-6)


def test_an_unexpected_failure_is_a_problem_with_an_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from serve.app import create_app
    from serve.settings import Settings

    app = create_app(Settings(tracking_uri=f"sqlite:///{tmp_path}/none.db"))

    @app.get("/boom")
    def boom() -> None:
        raise RuntimeError("secret detail")

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get("/boom", headers={"X-Request-ID": "boom-1"})

    response = asyncio.run(ask())
    assert_problem(response, 500, "boom-1")
    assert "secret" not in response.text
    assert response.headers["x-frame-options"] == "DENY"
