from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medexp.data.cache.open import PixelCache
from medexp.data.folder import FolderSource
from medexp.data.manifest import ManifestSource
from medexp.data.module import DataModule, SplitRule
from medexp.data.source import Source
from medexp.data.together import write_together
from medexp.errors import DataError
from medexp.types import SPLITS, InputSpec

INPUT = InputSpec(height=8, width=8, channels=1)


def write_images(root: Path, **per_class: int) -> None:
    """Different images, `<class>/<number>.png`."""
    rng = np.random.default_rng(0)
    for name, count in per_class.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(root / name / f"{i:02d}.png")


def write_manifest(root: Path) -> str:
    """List the images below `root`."""
    path = root / "manifest.csv"
    keys = sorted(file.relative_to(root).as_posix() for file in root.rglob("*.png"))
    path.write_text("\n".join(["image,label", *(f"{key},{key.split('/')[0]}" for key in keys)]) + "\n")
    return str(path)


def module(source: Source, *, rule: SplitRule | None = None, **changes: object) -> DataModule:
    options = {"name": "d", "input": INPUT, "positive": "sick", "batch_size": 4, "seed": 0, "cache": _cache()}
    return DataModule(source, rule=rule or SplitRule(val=0.2, test=0.2), **{**options, **changes})


def _cache() -> PixelCache:
    return PixelCache(Path(tempfile.mkdtemp(dir=_scratch[-1])), max_bytes=1e9, workers=1)


_scratch: list[Path] = []


@pytest.fixture(autouse=True)
def _cache_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    _scratch.append(tmp_path_factory.mktemp("caches"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_images(tmp_path / "images", healthy=10, sick=10)
    return tmp_path / "images"


@pytest.fixture
def folder(root: Path) -> FolderSource:
    return FolderSource(root=str(root))


def test_two_classes_need_a_positive_one(folder: FolderSource) -> None:
    with pytest.raises(DataError, match=r"Override: data\.positive=healthy or data\.positive=sick"):
        module(folder, positive=None).setup()


def test_an_unknown_positive_class_is_refused_with_a_suggestion(folder: FolderSource) -> None:
    with pytest.raises(DataError, match=r"data\.positive: Unknown class.*Did you mean 'sick'\?"):
        module(folder, positive="sikc").setup()


def test_three_classes_have_no_positive_one(tmp_path: Path) -> None:
    write_images(tmp_path, a=4, b=4, c=4)
    with pytest.raises(DataError, match=r"data\.positive=a with 3 classes. Override: data\.positive=null"):
        module(FolderSource(root=str(tmp_path)), positive="a").setup()


@pytest.mark.parametrize(("positive", "names"), [("sick", ("healthy", "sick")), ("healthy", ("sick", "healthy"))])
def test_the_positive_class_comes_second(positive: str, names: tuple[str, str], folder: FolderSource) -> None:
    assert module(folder, positive=positive).setup().class_names == names


@pytest.mark.parametrize("positive", ["sick", "healthy"])
def test_a_target_is_one_for_the_positive_class(positive: str, folder: FolderSource) -> None:
    data = module(folder, positive=positive)
    data.setup()
    targets = np.concatenate([data.val()[i][1] for i in range(len(data.val()))])
    expected = [[float(key.startswith(positive))] for key in data.examples("val").keys]
    assert targets.dtype == np.float32
    assert targets.tolist() == expected


def test_a_target_of_three_classes_is_one_hot(tmp_path: Path) -> None:
    write_images(tmp_path, a=4, b=4, c=4)
    data = module(FolderSource(root=str(tmp_path)), positive=None)
    spec = data.setup()
    assert (spec.task, spec.class_names) == ("multiclass", ("a", "b", "c"))
    assert data.val()[0][1].tolist() == np.eye(3)[data.examples("val").labels].tolist()


def test_every_image_is_in_one_split_with_its_own_pixels(folder: FolderSource, root: Path) -> None:
    data = module(folder)
    data.setup()
    seen = {}
    for split in SPLITS:
        seen |= dict(zip(data.examples(split).keys, data.images(split), strict=True))
    assert len(seen) == sum(len(data.examples(split).keys) for split in SPLITS) == 20
    for key, image in seen.items():
        assert (image[:, :, 0] == np.asarray(Image.open(root / key))).all()


def test_images_are_prepared_as_the_network_wants_them(folder: FolderSource) -> None:
    data = module(folder, input=InputSpec(height=12, width=16, channels=3))
    data.setup()
    assert data.images("train").shape[1:] == (12, 16, 3)


def test_the_facts_count_each_class_in_each_split(folder: FolderSource) -> None:
    spec = module(folder).setup()
    assert spec.counts == {
        "train": {"healthy": 6, "sick": 6},
        "val": {"healthy": 2, "sick": 2},
        "test": {"healthy": 2, "sick": 2},
    }
    assert (spec.name, spec.task, spec.input, spec.synthetic) == ("d", "binary", INPUT, False)


def test_training_batches_are_shuffled_by_the_seed_of_the_run(folder: FolderSource) -> None:
    def first(seed: int) -> bytes:
        data = module(folder, seed=seed)
        data.setup()
        return data.train()[0][0].tobytes()

    assert first(0) == first(0)
    assert first(0) != first(1)


def test_validation_and_test_batches_keep_their_order(folder: FolderSource) -> None:
    data = module(folder)
    data.setup()
    for split, batches in (("val", data.val()), ("test", data.test())):
        batches.start_epoch(1)
        assert (batches[0][0] == data.images(split)).all()


def test_the_seed_of_the_run_does_not_change_the_split(folder: FolderSource) -> None:
    assert module(folder, seed=0).setup().digest == module(folder, seed=1).setup().digest


def test_groups_of_the_source_never_cross_a_split(tmp_path: Path) -> None:
    write_images(tmp_path, healthy=12, sick=12)
    keys = sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.png"))
    rows = [f"{key},{key.split('/')[0]},{key.split('/')[0]}{i % 6}" for i, key in enumerate(keys)]
    (tmp_path / "m.csv").write_text("\n".join(["image,label,patient", *rows]))
    data = module(ManifestSource(manifest=str(tmp_path / "m.csv"), group_column="patient"))
    data.setup()
    patient_of = {row.split(",")[0]: row.split(",")[2] for row in rows}
    patients = [{patient_of[key] for key in data.examples(split).keys} for split in SPLITS]
    assert len(patients[0] | patients[1] | patients[2]) == sum(len(some) for some in patients) == 12


def test_the_split_of_the_source_is_kept(root: Path) -> None:
    rows = [
        f"{name}/{i:02d}.png,{name},{split}"
        for name in ("healthy", "sick")
        for i, split in enumerate(["test", "val", *["train"] * 8])
    ]
    (root / "m.csv").write_text("\n".join(["image,label,split", *rows]))
    data = module(ManifestSource(manifest=str(root / "m.csv"), split_column="split"))
    data.setup()
    assert data.examples("test").keys == ("healthy/00.png", "sick/00.png")
    assert data.examples("val").keys == ("healthy/01.png", "sick/01.png")


def test_the_same_images_have_the_same_digest_as_folder_and_as_manifest(folder: FolderSource, root: Path) -> None:
    listed = ManifestSource(manifest=write_manifest(root))
    assert module(folder).setup().digest == module(listed).setup().digest


def test_the_digest_does_not_depend_on_where_the_images_lie(folder: FolderSource, root: Path) -> None:
    digest = module(folder).setup().digest
    moved = root.rename(root.parent / "moved")
    assert module(FolderSource(root=str(moved))).setup().digest == digest


@pytest.mark.parametrize(
    "change",
    [
        {"positive": "healthy"},
        {"rule": SplitRule(val=0.2, test=0.2, seed=1)},
        {"input": InputSpec(8, 8, 3)},
        {"rule": SplitRule(val=0.3, test=0.2)},
    ],
    ids=["positive", "split seed", "input", "share"],
)
def test_the_digest_differs_with_what_results_depend_on(change: dict[str, object], folder: FolderSource) -> None:
    assert module(folder, **change).setup().digest != module(folder).setup().digest


def test_the_digest_differs_when_a_label_changes_and_nothing_else(root: Path) -> None:
    def digest(class_of_the_last: str) -> str:
        splits = ["train", "val", "test", *["train"] * 7]
        rows = [f"{name}/{i:02d}.png,{name},{split}" for name in ("healthy", "sick") for i, split in enumerate(splits)]
        rows[-1] = f"sick/09.png,{class_of_the_last},train"
        (root / "m.csv").write_text("\n".join(["image,label,split", *rows]))
        return module(ManifestSource(manifest=str(root / "m.csv"), split_column="split")).setup().digest

    assert digest("sick") == digest("sick") != digest("healthy")


def test_the_digest_differs_when_a_pixel_changes(folder: FolderSource, root: Path) -> None:
    before = module(folder).setup().digest
    with Image.open(root / "sick/03.png") as image:
        pixels = np.array(image)
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(root / "sick/03.png")
    assert module(folder).setup().digest != before


def test_a_class_that_is_missing_from_a_split_is_named(root: Path) -> None:
    rows = [f"healthy/{i:02d}.png,healthy,{split}" for i, split in enumerate(["train", "val", "test"])]
    rows += [f"sick/{i:02d}.png,sick,train" for i in range(3)]
    (root / "m.csv").write_text("\n".join(["image,label,split", *rows]))
    with pytest.raises(DataError, match="no image of val: sick, test: sick"):
        module(ManifestSource(manifest=str(root / "m.csv"), split_column="split")).setup()


def test_a_damaged_image_is_in_no_split(folder: FolderSource, root: Path) -> None:
    (root / "sick/03.png").write_bytes(b"damage")
    data = module(folder)
    data.setup()
    assert sum(len(data.examples(split).keys) for split in SPLITS) == 19
    row = data.load().keys.index("sick/03.png")
    assert data.load().splits[row] == ""
    assert "sick/03.png" in data.load().facts.error[row]


def test_without_a_readable_image_there_is_nothing_to_do(folder: FolderSource, root: Path) -> None:
    for path in root.rglob("*.png"):
        path.write_bytes(b"damage")
    with pytest.raises(DataError, match=r"No image can be read.*healthy/00\.png"):
        module(folder).setup()


def test_the_same_pixels_in_another_file_stay_in_one_split(tmp_path: Path) -> None:
    write_images(tmp_path, healthy=12, sick=12)
    for i in range(12):
        Image.open(tmp_path / f"healthy/{i:02d}.png").save(tmp_path / f"healthy/{i:02d}.bmp")
    data = module(FolderSource(root=str(tmp_path)))
    data.setup()
    for split in SPLITS:
        names = [key for key in data.examples(split).keys if key.startswith("healthy")]
        assert len(names) == 2 * len({name[:-4] for name in names})


def test_names_do_not_matter_to_the_split(root: Path, folder: FolderSource) -> None:
    before = module(folder).setup()
    for path in list((root / "sick").iterdir()):
        path.rename(path.with_name(f"renamed-{99 - int(path.stem)}.png"))
    after = module(folder).setup()
    assert (after.split, after.digest) == (before.split, before.digest)


def test_a_split_that_was_written_can_be_used_again(tmp_path: Path, folder: FolderSource) -> None:
    first = module(folder, rule=SplitRule(val=0.2, test=0.2, seed=5))
    digest = first.setup().split
    first.write_split(tmp_path / "split.csv")
    again = module(folder, rule=SplitRule(file=tmp_path / "split.csv"))
    assert again.setup().split == digest
    assert module(folder).setup().split != digest


def test_each_fold_validates_others_and_tests_the_same(folder: FolderSource) -> None:
    folds = [module(folder, rule=SplitRule(val=0.2, test=0.2, fold=i, folds=4)) for i in range(4)]
    for data in folds:
        data.setup()
    assert len({data.examples("test").keys for data in folds}) == 1
    validated = [key for data in folds for key in data.examples("val").keys]
    assert len(validated) == len(set(validated)) == 16


def test_other_columns_are_kept_for_each_split(root: Path) -> None:
    path = Path(write_manifest(root))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([f"{lines[0]},site", *(f"{line},{'north' if i % 2 else 'south'}" for i, line in
                                                    enumerate(lines[1:]))]))  # fmt: skip
    data = module(ManifestSource(manifest=str(path)))
    data.setup()
    part = data.examples("val")
    expected = {line.split(",")[0]: "north" if i % 2 else "south" for i, line in enumerate(lines[1:])}
    assert part.metadata["site"] == tuple(expected[key] for key in part.keys)


def test_images_that_an_audit_found_alike_stay_in_one_split(tmp_path: Path, folder: FolderSource) -> None:
    data = module(folder)
    data.setup()
    content = dict(zip(data.load().keys, data.load().facts.content.tolist(), strict=True))
    parted = [data.examples(split).keys[0] for split in SPLITS]
    write_together(tmp_path / "together.csv", [[(content[key], key) for key in parted]])
    again = module(folder, rule=SplitRule(val=0.2, test=0.2, together=tmp_path / "together.csv"))
    again.setup()
    assert sum(bool(set(parted) & set(again.examples(split).keys)) for split in SPLITS) == 1


def findings(root: Path, rows: list[str]) -> ManifestSource:
    (root / "m.csv").write_text("\n".join(["image,a,b,split", *rows]))
    return ManifestSource(manifest=str(root / "m.csv"), label_columns=["a", "b"], split_column="split")


def test_several_findings_of_an_image_are_several_targets(root: Path) -> None:
    keys = [f"{name}/{i:02d}.png" for name in ("healthy", "sick") for i in range(10)]
    rows = [f"{key},{i % 2},{int(i % 3 == 0)},{['train', 'val', 'test'][i % 3 if i < 9 else 0]}"
            for i, key in enumerate(keys)]  # fmt: skip
    data = module(findings(root, rows), positive=None)
    spec = data.setup()
    assert (spec.task, spec.outputs, spec.class_names) == ("multilabel", 2, ("a", "b"))
    assert data.val()[0][1].tolist() == data.examples("val").labels.tolist()
    assert spec.counts["test"] == {name: int(data.examples("test").labels[:, i].sum()) for i, name in enumerate("ab")}


def test_findings_that_nothing_can_be_scored_on_are_refused_before_training(root: Path) -> None:
    keys = [f"healthy/{i:02d}.png" for i in range(10)]
    rows = [f"{key},{int(i < 5)},{int(i > 3)},{'val' if i == 8 else 'test' if i == 9 else 'train'}"
            for i, key in enumerate(keys)]  # fmt: skip
    with pytest.raises(DataError, match=r"scored on val.*data\.split\.val"):
        module(findings(root, rows), positive=None).setup()


def test_a_task_of_its_own_is_a_digest_of_its_own(tmp_path: Path) -> None:
    write_images(tmp_path, a=6, b=6, c=6)
    source = FolderSource(root=str(tmp_path))
    grades = module(source, positive=None, task="ordinal", classes=("a", "b", "c")).setup()
    assert grades.outputs == 2
    assert grades.digest != module(source, positive=None).setup().digest


def test_of_data_that_nothing_is_trained_on_every_image_is_tested(folder: FolderSource) -> None:
    data = module(folder, rule=SplitRule(all_test=True))
    spec = data.setup()
    assert spec.images == {"train": 0, "val": 0, "test": 20}
    assert spec.counts["test"] == {"healthy": 10, "sick": 10}


def test_some_images_are_spread_over_a_split_which_lists_one_class_after_another(folder: FolderSource) -> None:
    data = module(folder, rule=SplitRule(all_test=True))
    data.setup()
    places = data.spread("test", 4)
    assert data.examples("test").labels[places].tolist() == [0, 0, 1, 1]
    assert (data.images("test", places) == data.images("test")[places]).all()
    assert data.spread("test", 100).tolist() == list(range(20))
