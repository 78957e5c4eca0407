"""A real SLURM of one node with two processors, and the accounting that submitit asks for the state of jobs."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from support import free_port, wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmdbd", "sacctmgr", "sbatch", "mariadbd", "mariadb-install-db")
CONFIG = """
ClusterName=medexp
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
KillWait=10
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounting}
AccountingStoragePass={folder}/munge
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
ACCOUNTING = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={accounting}
SlurmUser={user}
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""


class Slurm:
    """Its daemons, in a new folder; tests that need them are skipped where they are not installed."""

    def __init__(self) -> None:
        os.environ["PATH"] += ":/usr/sbin:/sbin"
        if missing := [name for name in PROGRAMS if not shutil.which(name)]:
            pytest.skip(f"SLURM with accounting is not installed: there is no {', '.join(missing)}")
        self._folder = Path(tempfile.mkdtemp(prefix="medexp-slurm-"))
        self._folder.chmod(0o755)
        self._daemons: list[subprocess.Popen[bytes]] = []
        ports = {name: free_port() for name in ("controller", "node", "accounting", "database")}
        self._values = {"folder": self._folder, "host": socket.gethostname().partition(".")[0], **ports}
        self._values["user"] = getpass.getuser()
        self.environment = {"SLURM_CONF": str(self._folder / "slurm.conf")}

    def start(self) -> None:
        """Start all, and wait until jobs are taken."""
        folder = self._folder
        for name in ("state", "spool", "database"):
            (folder / name).mkdir()
        (folder / "slurm.conf").write_text(CONFIG.format(**self._values))
        (folder / "slurmdbd.conf").write_text(ACCOUNTING.format(**self._values))
        (folder / "slurmdbd.conf").chmod(0o600)
        (folder / "key").write_bytes(os.urandom(1024))
        (folder / "key").chmod(0o400)
        files = [f"--{kind}-file={folder / kind}.munge" for kind in ("pid", "log", "seed")]
        self._daemon("munged", "--foreground", f"--key-file={folder / 'key'}", f"--socket={folder / 'munge'}", *files)
        self._start_database()
        self._daemon("slurmdbd", "-D")
        wait_until(self._has_cluster, seconds=30, what="SLURM's accounting")
        self._daemon("slurmctld", "-D")
        self._daemon("slurmd", "-D")
        wait_until(lambda: "idle" in self.ask("sinfo", "--noheader"), seconds=30, what="SLURM's node")

    def ask(self, *command: str) -> str:
        """Run one of SLURM's commands and return what it prints."""
        done = subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, text=True)
        return done.stdout

    def remove(self) -> None:
        """Stop all, and delete everything."""
        self.ask("scancel", "--signal=KILL", f"--user={self._values['user']}")
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start_database(self) -> None:
        data, owner = self._folder / "database", []
        if os.geteuid() == 0:
            owner = ["--user=mysql"]
            shutil.chown(data, "mysql")
        install = ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(["mariadb-install-db", *install, *owner, f"--datadir={data}"], check=True, capture_output=True)
        statements = self._folder / "init.sql"
        users = [f"slurm@'{host}' identified by 'slurm'" for host in ("%", "localhost")]
        grants = "".join(f"grant all on slurm.* to {user};\n" for user in users)
        statements.write_text(f"create database if not exists slurm;\n{grants}")
        options = [f"--datadir={data}", f"--socket={data / 'socket'}", f"--port={self._values['database']}"]
        self._daemon(
            "mariadbd", "--no-defaults", *owner, *options, "--bind-address=127.0.0.1", f"--init-file={statements}"
        )
        wait_until((data / "socket").exists, seconds=30, what="MariaDB")

    def _has_cluster(self) -> bool:
        self.ask("sacctmgr", "--immediate", "add", "cluster", "medexp")
        return "medexp" in self.ask("sacctmgr", "--noheader", "show", "cluster")

    def _daemon(self, *command: str) -> None:
        with (self._folder / f"{command[0]}.log").open("wb") as log:
            self._daemons.append(
                subprocess.Popen(
                    command, env={**os.environ, **self.environment}, stdout=log, stderr=log, cwd=self._folder
                )
            )
