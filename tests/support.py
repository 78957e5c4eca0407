"""Helpers that tests import by name."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ARTIFACTS = ROOT / "tests" / "artifacts"
TINY = (
    "evaluation=quick",
    "data.patients=40",
    "data.size=32",
    "data.input.height=32",
    "model.filters=[8,8]",
    "trainer.max_epochs=2",
)
Script = Callable[..., subprocess.CompletedProcess[str]]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(ready: Callable[[], object], *, seconds: float, what: str) -> None:
    """Wait for `ready`, or fail the test."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return
        time.sleep(0.05)
    pytest.fail(f"waited {seconds:g} s for {what}")
