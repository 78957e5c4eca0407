"""A real PostgreSQL that tests start, stop and start again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from support import free_port, wait_until


class Postgres:
    """A cluster of its own in a new folder; tests that need one are skipped where it is not installed."""

    def __init__(self) -> None:
        self._server = _program("postgres")
        initdb = _program("initdb")
        if initdb is None or self._server is None:
            pytest.skip("PostgreSQL's initdb and postgres are not installed")
        pytest.importorskip("psycopg", reason="psycopg is not installed: pip install medexp[postgres]")
        self._user = _unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="medexp-postgres-"))
        (secret := self._folder / "password").write_text("s3cret\n")
        if self._user:
            shutil.chown(self._folder, self._user)
            shutil.chown(secret, self._user)
        options = ["-U", "medexp", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8"]
        subprocess.run(
            [initdb, "-D", self._folder / "data", *options],
            user=self._user, check=True, capture_output=True, cwd=self._folder,
        )  # fmt: skip
        self._port = free_port()
        self.url = f"postgresql://medexp:s3cret@127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        assert self._server is not None
        command = [self._server, "-D", self._folder / "data", "-p", str(self._port), "-k", self._folder]
        self._process = subprocess.Popen(
            [*command, "-c", "listen_addresses=127.0.0.1"],
            user=self._user, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self._answers, seconds=60, what="PostgreSQL to start")

    def stop(self) -> None:
        """Stop at once, as an administrator does; clients lose their connections."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)

    def remove(self) -> None:
        """Stop, and delete everything."""
        if self._process.poll() is None:
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(f"{self.url}/postgres").close()
        except psycopg.Error:
            return False
        return True


def _program(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


def _unprivileged() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)
