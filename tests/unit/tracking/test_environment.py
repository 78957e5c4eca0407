"""What a run ran on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import subprocess
from pathlib import Path

import pytest

from medexp.tracking.environment import environment, lock_digest
from medexp.tracking.machine import machine


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


def test_every_installed_package_and_the_lock_are_named(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text("numpy==2\n")
    facts = environment(tmp_path)
    assert facts["lock"] == hashlib.sha256(b"numpy==2\n").hexdigest()
    assert facts["packages"]["keras"] == importlib.metadata.version("keras")
    assert set(facts["packages"]) >= {"pydantic", "hydra-core", "jinja2", "antlr4-python3-runtime"}
    assert lock_digest(tmp_path / "nowhere") is None


def test_what_bits_depend_on_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    facts = machine()
    assert facts["cores"] == len(os.sched_getaffinity(0))
    assert facts["variables"]["OMP_NUM_THREADS"] == "3"
    assert facts["architecture"]
