"""Which code a checkout holds, seen in real repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from medexp.tracking.code_state import LARGEST_PATCH, CodeState, code_patch, code_state


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@x", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    root.mkdir()
    git(root, "init", "-q")
    (root / "a.py").write_text("a = 1\n")
    (root / "gone.py").write_text("gone = 1\n")
    (root / ".gitignore").write_text("outputs/\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "a")
    return root


def change(root: Path) -> None:
    (root / "a.py").write_text("a = 2\n")
    (root / "gone.py").unlink()
    (root / "new file.py").write_text("new = 1\n")
    (root / "bytes.bin").write_bytes(bytes(range(256)))


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    (checkout / "outputs").mkdir()
    (checkout / "outputs" / "ignored").write_text("x")
    state = code_state(checkout)
    assert state == CodeState(git(checkout, "rev-parse", "HEAD"), git(checkout, "branch", "--show-current"))
    assert code_patch(checkout) is None


def test_changed_new_and_removed_files_are_named_and_digested(checkout: Path) -> None:
    change(checkout)
    state = code_state(checkout)
    assert state.changes == ("a.py", "bytes.bin", "gone.py", "new file.py")
    assert state == code_state(checkout)
    digests = {state.digest}
    for name, text in (("a.py", "a = 3\n"), ("new file.py", "new = 2\n"), ("gone.py", "gone = 2\n")):
        (checkout / name).write_text(text)
        digests.add(code_state(checkout).digest)
    (checkout / "new file.py").rename(checkout / "newer file.py")
    digests.add(code_state(checkout).digest)
    assert len(digests) == 5


def test_what_is_staged_is_a_change_like_any_other(checkout: Path) -> None:
    change(checkout)
    before = code_state(checkout)
    git(checkout, "add", "a.py", "bytes.bin")
    assert code_state(checkout) == before


def test_the_patch_makes_the_same_code_of_the_commit_and_leaves_no_trace(checkout: Path, tmp_path: Path) -> None:
    change(checkout)
    before = git(checkout, "status", "--porcelain"), git(checkout, "count-objects")
    patch = code_patch(checkout)
    assert patch is not None
    assert (git(checkout, "status", "--porcelain"), git(checkout, "count-objects")) == before
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(checkout), str(other))
    (tmp_path / "code.patch").write_bytes(patch.encode(errors="surrogateescape"))
    git(other, "apply", str(tmp_path / "code.patch"))
    assert code_state(other) == code_state(checkout)


def test_a_large_patch_is_not_kept_but_digested(checkout: Path) -> None:
    (checkout / "large.txt").write_text("x" * (LARGEST_PATCH + 1))
    assert code_patch(checkout) is None
    first = code_state(checkout).digest
    (checkout / "large.txt").write_text("y" * (LARGEST_PATCH + 1))
    assert code_state(checkout).digest not in (first, None)


def test_outputs_in_the_checkout_are_no_change_of_the_code(checkout: Path) -> None:
    results = checkout / "my results"
    results.mkdir()
    (results / "mlflow.db").write_text("x")
    assert code_state(checkout).changes == ("my results/mlflow.db",)
    assert code_state(checkout, ignore=[results, checkout.parent / "elsewhere"]).changes == ()
    assert code_patch(checkout, ignore=[results]) is None


def test_a_checkout_within_a_repository_sees_all_of_it(checkout: Path) -> None:
    (checkout / "inner").mkdir()
    change(checkout)
    assert code_state(checkout / "inner") == code_state(checkout)


def test_without_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    assert code_state(tmp_path) == CodeState()
    assert code_patch(tmp_path) is None
