"""What is no longer as it was when a run was trained: code, packages, machine, configuration, data."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medexp.errors import MedexpError
from medexp.experiment.record import CONFIG, PATCH
from medexp.experiment.shortened import shortened

if TYPE_CHECKING:
    from medexp.data.module import DataModule

Kind = Literal["code", "packages", "machine", "config", "data"]
_MACHINE = ("architecture", "processor", "instructions", "cores", "threads", "device", "devices", "variables")


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was, and what mends it."""

    kind: Kind
    text: str
    remedy: str


def code_differences(then: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> Iterator[Difference]:
    """Compare commit and changes.

    Args:
        then: `environment.json` of the run.
        now: the same facts of here and now.
        folder: of the run, where its `code.patch` is.
    """
    old, new = then.get("git_commit"), now["git_commit"]
    if old is None:
        yield Difference("code", "the run did not record a commit, it was in no git repository", "nothing mends that")
        return
    if new is None:
        yield Difference("code", "here is no git repository that tells which code this is", _clone(old))
        return
    if old != new:
        yield Difference("code", f"the run had commit {old}, here is {new}", f"git checkout {old}")
    before, after = then.get("git_digest"), now["git_digest"]
    if then.get("git_dirty") and before is None:
        yield Difference("code", "the run had changes beside its commit that were not recorded", "nothing mends that")
    elif before != after:
        names = shortened(now["git_changes"] if after else then.get("git_changes", []))
        where = f"{folder / PATCH}"
        patch = f"git apply {where}" if (folder / PATCH).is_file() else "nothing: the changes were too large to be kept"
        if before is None:
            yield Difference("code", f"files here differ from their commit: {names}", "git stash --include-untracked")
        elif after is None:
            yield Difference("code", f"the run had changes beside its commit: {names}", patch)
        else:
            remedy = f"git stash --include-untracked, then {patch}"
            yield Difference("code", f"files here differ from their commit otherwise than the run's: {names}", remedy)


def package_differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    """Compare lock file, Python, and the versions of all packages."""
    if "packages" not in then:
        yield Difference("packages", "the run did not record its packages", "nothing mends that")
        return
    if then["lock"] != now["lock"]:
        commit = then.get("git_commit") or "<commit of the run>"
        remedy = f"git checkout {commit} -- requirements.lock && make install"
        yield Difference("packages", "requirements.lock is another", remedy)
    old, new = then["versions"]["python"], now["versions"]["python"]
    if old != new:
        wanted = ".".join(old.split(".")[:2])
        yield Difference(
            "packages", f"the run had Python {old}, here is {new}", f"make clean install PYTHON=python{wanted}"
        )
    before, after = then["packages"], now["packages"]
    changed = {name: (v, after.get(name)) for name, v in before.items() if after.get(name) != v}
    changed |= {name: (None, v) for name, v in after.items() if name not in before}
    if changed:
        said = [f"{name} {v or 'not installed'} (here {w or 'not installed'})" for name, (v, w) in changed.items()]
        pins = [f"{name}=={v}" for name, (v, _) in changed.items() if v]
        gone = [name for name, (v, _) in changed.items() if v is None]
        commands = [f"pip install {' '.join(pins)}"] if pins else []
        commands += [f"pip uninstall {' '.join(gone)}"] if gone else []
        yield Difference("packages", f"the run had {shortened(said)}", f"make install; or {' && '.join(commands)}")


def machine_differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    """Compare what the order of sums depends on: processor, cores, threads, devices."""
    if "machine" not in then:
        yield Difference("machine", "the run did not record its machine", "nothing mends that")
        return
    before, after = then["machine"], now["machine"]
    for key in _MACHINE:
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if key == "instructions":
            old, new = sorted({*old} - {*new}), sorted({*new} - {*old})
            text = f"the processor's instructions: the run had {shortened(old) or 'nothing'} beside those here, "
            text += f"here are {shortened(new) or 'none'} beside those of the run"
        else:
            text = f"{key}: the run had {_plain(old)}, here is {_plain(new)}"
        yield Difference("machine", text, _machine_remedy(key, old, new))


def resumed_differences(then: Mapping[str, Any], folder: Path) -> Iterator[Difference]:
    """Compare where a run was resumed with where it began: what another machine or code went on with is not one run."""
    for i, part in enumerate(then.get("resumed", []), 1):
        for difference in (
            *code_differences(then, part, folder),
            *package_differences(then, part),
            *machine_differences(then, part),
        ):
            there = re.sub(r"\bhere\b", "there", difference.text)
            yield Difference(difference.kind, f"resumption {i} of the run was elsewhere: {there}", "nothing mends that")


def config_differences(then: Mapping[str, Any], folder: Path, *, seed: int) -> Iterator[Difference]:
    """Compare the recorded configuration with its digest, and the seed with what was recorded beside it."""
    remedy = f"put {folder / CONFIG} back as it was: the run's artifacts in MLflow have it"
    if "config" not in then:
        yield Difference("config", "the run did not record a digest of its configuration", "nothing mends that")
    elif then["config"] != hashlib.sha256((folder / CONFIG).read_bytes()).hexdigest():
        yield Difference("config", f"{CONFIG} was changed after the run began", remedy)
    if then.get("seed") != seed:
        yield Difference("config", f"the run had seed {then.get('seed')}, {CONFIG} says {seed}", remedy)


def data_differences(
    result: Mapping[str, Any], folder: Path, data: DataModule, *, split_file: Path
) -> list[Difference]:
    """Set up the data, and compare pixels, labels and splits.

    Args:
        result: the run's result.json; may be empty, the split file is compared then.
        folder: of the run, where its split file is.
        data: of the run's configuration; is set up.
        split_file: where the present one is written.
    """
    try:
        data.prepare()
        spec = data.setup()
    except MedexpError as error:
        remedy = "bring the data back, or say where it is: data.root=..., data.manifest=..., data.search=[...]"
        return [Difference("data", f"it cannot be set up: {error}", remedy)]
    data.write_split(split_file)
    recorded = result.get("data", {})
    changes = split_changes(folder / split_file.name, split_file)
    same = (recorded.get("digest"), recorded.get("split")) == (spec.digest, spec.split) if recorded else not changes
    if same:
        return []
    what = "; ".join(changes) or "another preparation of the pixels, or other classes"
    text = f"{spec.name}: {what}. The digest of the run's data is {recorded.get('digest')}, that of this {spec.digest}"
    return [Difference("data", text, "bring images, labels and splits back as they were, or say where they are")]


def split_changes(old: Path, new: Path) -> list[str]:
    """Return how the images, labels and splits of two split files differ, a line for each kind; none without `old`."""
    return _changes(_rows(old), _rows(new))


def _rows(path: Path) -> dict[str, Mapping[str, str]]:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            return {row["image"]: row for row in csv.DictReader(file)}
    except OSError:
        return {}


def _changes(old: Mapping[str, Mapping[str, str]], new: Mapping[str, Mapping[str, str]]) -> list[str]:
    if not old:
        return []
    both = [name for name in old if name in new]
    found = {
        "other content": [name for name in both if old[name]["content"] != new[name]["content"]],
        "another label": [name for name in both if old[name]["label"] != new[name]["label"]],
        "another split": [name for name in both if old[name]["split"] != new[name]["split"]],
        "gone": [name for name in old if name not in new],
        "new": [name for name in new if name not in old],
    }
    return [f"{len(names)} images: {what} ({shortened(names)})" for what, names in found.items() if names]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={child}" for key, child in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _machine_remedy(key: str, old: Any, new: Any) -> str:
    if key == "cores" and isinstance(old, int) and isinstance(new, int) and old < new:
        return f"taskset --cpu-list 0-{old - 1} python scripts/reproduce.py ..."
    if key == "device" and old == "cpu":
        return "CUDA_VISIBLE_DEVICES=-1 python scripts/reproduce.py ..."
    if key == "variables":
        commands = [f"export {name}={value}" for name, value in old.items() if new.get(name) != value]
        return " && ".join([*commands, *(f"unset {name}" for name in new if name not in old)])
    return "a machine of the same kind; another may add in another order"


def _clone(commit: str) -> str:
    return f"a git clone of the repository, with git checkout {commit}"
