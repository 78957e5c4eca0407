"""What a run ran on."""

from __future__ import annotations

import subprocess
from pathlib import Path

from medexp.tracking.environment import environment


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@x", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_and_whether_the_tree_differs_from_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "a")
    clean = environment(tmp_path)
    assert (clean["git_commit"], clean["git_dirty"]) == (git(tmp_path, "rev-parse", "HEAD"), False)
    (tmp_path / "b").write_text("new")
    assert environment(tmp_path)["git_dirty"] is True


def test_without_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    facts = environment(tmp_path)
    assert (facts["git_commit"], facts["git_dirty"]) == (None, None)
    assert facts["versions"]["medexp"] == "0.1.0"
    assert facts["host"]
