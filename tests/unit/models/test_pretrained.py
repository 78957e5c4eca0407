"""Weights are those that were asked for, or a clear error."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
import time
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path

import keras
import numpy as np
import pytest
from support import ROOT

from medexp.errors import ConfigError
from medexp.models import convnext_tiny, densenet121, efficientnet, efficientnet_v2, mobilenet, resnet50, vgg16
from medexp.models.feature_map import feature_map
from medexp.models.mobilenet_v1 import mobilenet_v1
from medexp.models.published import Published, find_published
from medexp.models.resnet18 import resnet18
from medexp.models.simple_cnn import simple_cnn
from medexp.models.vgg16 import vgg16 as build_vgg16
from medexp.types import DataSpec, InputSpec

FILE = "mobilenet_2_5_224_tf_no_top.h5"


def spec(side: int, channels: int, classes: int = 2) -> DataSpec:
    names = tuple(f"class {i}" for i in range(classes))
    return DataSpec("d", "multiclass" if classes > 2 else "binary", names, InputSpec(side, side, channels), {}, "", "")


def images(side: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, side, side, channels)).astype(np.float32)


def features(network: keras.Model, pixels: np.ndarray) -> np.ndarray:
    return np.array(keras.Model(network.input, network.get_layer(feature_map(network)).output)(pixels, training=False))


@pytest.fixture(scope="session")
def published() -> Path:
    """The file of MobileNet's real weights, of a quarter of the width."""
    path = ROOT.parent / "shared" / "weights" / FILE
    if not path.is_file():
        pytest.skip(f"no real weights: {FILE} is not in shared/weights beside the checkout")
    return path.resolve()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a real server over the folder `site`."""
    (tmp_path / "site").mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_features_are_those_of_keras_with_its_own_preprocessing(published: Path) -> None:
    pixels = images(64, 3)
    network = mobilenet_v1(spec(64, 3), alpha=0.25, weights=str(published))
    own = keras.applications.MobileNet(input_shape=(64, 64, 3), alpha=0.25, include_top=False, weights=published)
    wanted = np.array(own(keras.applications.mobilenet.preprocess_input(pixels.copy()), training=False))
    assert np.abs(wanted).max() > 1
    assert np.allclose(features(network, pixels), wanted, atol=1e-4)


def test_a_grey_image_gives_what_its_rgb_triple_gives(published: Path) -> None:
    grey = images(64, 1)
    one, three = (mobilenet_v1(spec(64, channels), alpha=0.25, weights=str(published)) for channels in (1, 3))
    assert (features(one, grey) == features(three, np.repeat(grey, 3, axis=-1))).all()


def test_imagenet_is_found_in_the_first_folder_that_has_it(published: Path, tmp_path: Path) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    shutil.copy(published, folder)
    network = mobilenet_v1(
        spec(64, 1), alpha=0.25, weights="imagenet", weights_folders=[None, str(tmp_path / "first"), str(folder)]
    )
    wanted = mobilenet_v1(spec(64, 1), alpha=0.25, weights=str(published))
    assert (features(network, images(64, 1)) == features(wanted, images(64, 1))).all()


def test_a_width_that_was_never_published_has_no_imagenet_weights() -> None:
    with pytest.raises(ConfigError, match=r"mobilenet_v1 with these values\. Received: model\.weights=imagenet"):
        mobilenet_v1(spec(32, 1), alpha=0.4, weights="imagenet")


def test_a_network_that_keras_does_not_have_has_no_imagenet_weights() -> None:
    with pytest.raises(ConfigError, match=r"No ImageNet weights are published for resnet18.*model\.weights=null"):
        resnet18(spec(32, 1), weights="imagenet")


@pytest.mark.parametrize("classes", [2, 3])
def test_an_earlier_run_gives_all_layers_and_the_head_where_it_fits(classes: int, tmp_path: Path) -> None:
    earlier = simple_cnn(spec(32, 1), filters=[4, 8])
    earlier.save_weights(tmp_path / "best.weights.h5")
    network = simple_cnn(spec(40, 1, classes), filters=[4, 8], weights=str(tmp_path / "best.weights.h5"))
    assert (features(network, images(40, 1)) == features(simple_cnn_like(earlier), images(40, 1))).all()
    kernels = [np.array(model.layers[-1].kernel) for model in (earlier, network)]
    assert network.layers[-1].units == (1 if classes == 2 else 3)
    assert np.array_equal(*kernels) == (classes == 2)


def simple_cnn_like(network: keras.Model) -> keras.Model:
    """The same layers on larger images."""
    larger = simple_cnn(spec(40, 1), filters=[4, 8])
    larger.set_weights(network.get_weights())
    return larger


def test_the_head_of_a_network_with_other_dense_layers_is_found(tmp_path: Path) -> None:
    from medexp.models.vit_tiny import vit_tiny

    earlier = vit_tiny(spec(16, 1), depth=1)
    earlier.save_weights(tmp_path / "best.weights.h5")
    network = vit_tiny(spec(16, 1), depth=1, weights=str(tmp_path / "best.weights.h5"))
    assert (np.array(network(images(16, 1))) == np.array(earlier(images(16, 1)))).all()


def test_weights_as_keras_3_writes_them_of_an_application(tmp_path: Path) -> None:
    own = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    own.save_weights(tmp_path / "vgg.weights.h5")
    network = build_vgg16(spec(32, 3), weights=str(tmp_path / "vgg.weights.h5"))
    wanted = np.array(own(keras.applications.vgg16.preprocess_input(images(32, 3)), training=False))
    assert np.allclose(features(network, images(32, 3)), wanted, atol=1e-4 * np.abs(wanted).max())


def test_another_network_is_refused(published: Path, tmp_path: Path) -> None:
    simple_cnn(spec(32, 1), filters=[4, 8]).save_weights(tmp_path / "w.weights.h5")
    refused = [
        lambda: mobilenet_v1(spec(32, 1), alpha=0.5, weights=str(published)),
        lambda: build_vgg16(spec(32, 1), weights=str(published)),
        lambda: simple_cnn(spec(32, 1), filters=[4], weights=str(tmp_path / "w.weights.h5")),
        lambda: simple_cnn(spec(32, 1), filters=[4, 8, 8], weights=str(tmp_path / "w.weights.h5")),
        lambda: simple_cnn(spec(32, 1), filters=[4, 9], weights=str(tmp_path / "w.weights.h5")),
        lambda: simple_cnn(spec(32, 3), filters=[4, 8], weights=str(tmp_path / "w.weights.h5")),
    ]
    for build in refused:
        with pytest.raises(ConfigError, match=r"These are not weights of \w+ as it is configured.*Received: model\.we"):
            build()


def test_a_damaged_or_missing_file_is_refused(published: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.h5").write_bytes(published.read_bytes()[:100_000])
    (tmp_path / "text.weights.h5").write_text("not found")
    for name in ("cut.h5", "text.weights.h5"):
        with pytest.raises(ConfigError, match=rf"These are not weights.*Received: model\.weights={tmp_path / name}"):
            mobilenet_v1(spec(32, 1), alpha=0.25, weights=str(tmp_path / name))
    with pytest.raises(ConfigError, match=r"There is no such file\. Received: model\.weights=.*none\.h5"):
        mobilenet_v1(spec(32, 1), weights=str(tmp_path / "none.h5"))


def test_a_file_of_the_wrong_ending_says_how_it_should_end(published: Path, tmp_path: Path) -> None:
    shutil.copy(published, tmp_path / "mobilenet.weights.h5")
    with pytest.raises(ConfigError, match=r"files end in \.h5 alone: rename it"):
        mobilenet_v1(spec(32, 1), alpha=0.25, weights=str(tmp_path / "mobilenet.weights.h5"))
    simple_cnn(spec(32, 1), filters=[4, 8]).save_weights(tmp_path / "w.weights.h5")
    (tmp_path / "w.weights.h5").rename(tmp_path / "w.h5")
    with pytest.raises(ConfigError, match=r"if Keras 3 wrote it, name it \.\.\.\.weights\.h5"):
        simple_cnn(spec(32, 1), filters=[4, 8], weights=str(tmp_path / "w.h5"))


def test_an_unreachable_download_names_the_file_the_address_and_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    wanted = Published("http://medexp.invalid/resnet50_notop.h5", "0" * 32)
    start = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        find_published(wanted, folders=[str(tmp_path)], download_to=str(tmp_path / "weights"))
    assert time.monotonic() - start < 60
    for part in (
        "weights resnet50_notop.h5 are not on this machine",
        "Received: model.weights=imagenet",
        f"Fetch http://medexp.invalid/resnet50_notop.h5 elsewhere and put it into {tmp_path / 'weights'}",
        "MEDEXP_WEIGHTS_DIR",
        "model.weights=null",
    ):
        assert part in str(caught.value)
    assert list((tmp_path / "weights").iterdir()) == []


def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr("medexp.models.published.TIMEOUT", 0.5)
    before = socket.getdefaulttimeout()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        wanted = Published(f"http://127.0.0.1:{silent.getsockname()[1]}/w.h5", None)
        start = time.monotonic()
        with pytest.raises(ConfigError, match="timed out"):
            find_published(wanted, folders=[], download_to=str(tmp_path / "weights"))
    assert time.monotonic() - start < 10
    assert socket.getdefaulttimeout() == before


def test_a_download_is_kept_in_the_folder_and_checked(
    served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "site" / "w.h5").write_bytes(b"weights")
    to = tmp_path / "datasets" / "weights"
    whole = Published(f"{served}/w.h5", md5(b"weights").hexdigest())
    assert find_published(whole, folders=[], download_to=str(to)) == to / "w.h5"
    assert (to / "w.h5").read_bytes() == b"weights"
    assert capfd.readouterr().out == ""
    (tmp_path / "site" / "w.h5").unlink()
    assert find_published(whole, folders=[], download_to=str(to)) == to / "w.h5"  # not fetched again


def test_a_download_of_other_contents_is_not_kept(served: str, tmp_path: Path) -> None:
    (tmp_path / "site" / "w.h5").write_bytes(b"other")
    wanted = Published(f"{served}/w.h5", md5(b"weights").hexdigest())
    with pytest.raises(ConfigError, match="could not be downloaded"):
        find_published(wanted, folders=[], download_to=str(tmp_path / "weights"))
    assert list((tmp_path / "weights").iterdir()) == []


def test_a_file_in_a_folder_has_the_contents_that_were_published(tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(b"other")
    with pytest.raises(ConfigError, match=rf"Received: {tmp_path}/w\.h5 with digest .*as it is: model\.weights="):
        find_published(Published("http://medexp.invalid/w.h5", "0" * 32), folders=[str(tmp_path)], download_to=None)


def test_keras_own_cache_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "w.h5").write_bytes(b"weights")
    wanted = Published("http://medexp.invalid/w.h5", md5(b"weights").hexdigest())
    found = find_published(wanted, folders=[], download_to=str(tmp_path / "weights"))
    assert found == tmp_path / "models" / "w.h5"


APPLICATIONS = {
    "convnext_tiny": (convnext_tiny, keras.applications.ConvNeXtTiny, keras.applications.convnext),
    "densenet121": (densenet121, keras.applications.DenseNet121, keras.applications.densenet),
    "efficientnet": (efficientnet, keras.applications.EfficientNetB0, keras.applications.efficientnet),
    "efficientnet_v2": (efficientnet_v2, keras.applications.EfficientNetV2B0, keras.applications.efficientnet_v2),
    "mobilenet": (mobilenet, keras.applications.MobileNetV3Small, keras.applications.mobilenet_v3),
    "resnet50": (resnet50, keras.applications.ResNet50, keras.applications.resnet),
    "vgg16": (vgg16, keras.applications.VGG16, keras.applications.vgg16),
}
QUICK = {"efficientnet", "mobilenet"}


class Fetched(Exception):
    """What Keras would download."""


@pytest.mark.parametrize("name", APPLICATIONS)
def test_the_published_file_is_the_one_that_keras_would_fetch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, build, _ = APPLICATIONS[name]

    def get_file(file: str, url: str, *, file_hash: str, **_: object) -> None:
        raise Fetched(url, file_hash)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(Fetched) as caught:
        build(include_top=False, weights="imagenet", input_shape=(224, 224, 3))
    assert caught.value.args == (ours.PUBLISHED.url, ours.PUBLISHED.digest)


@pytest.mark.parametrize("name", [p if p in QUICK else pytest.param(p, marks=pytest.mark.slow) for p in APPLICATIONS])
def test_published_weights_say_what_they_say_in_keras(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real files are not on every machine: here are random weights, in files as they were published."""
    ours, build, module = APPLICATIONS[name]
    file = tmp_path / ours.PUBLISHED.file
    keras.utils.set_random_seed(1)
    source = build(include_top=False, weights=None, input_shape=(64, 64, 3))
    rng = np.random.default_rng(0)
    source.set_weights([weight * rng.uniform(0.5, 1.5, weight.shape) for weight in source.get_weights()])
    source.save(file)  # a file that ends in .h5 has its weights in the old format
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(file))
    reference = build(include_top=False, weights="imagenet", input_shape=(64, 64, 3))
    wanted = np.array(reference(module.preprocess_input(images(64, 3)), training=False))
    network = getattr(ours, name)(spec(64, 3), weights=str(file))
    assert wanted.std() > 0
    assert np.allclose(features(network, images(64, 3)), wanted, atol=1e-4 * np.abs(wanted).max())
