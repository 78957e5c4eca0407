"""Who decides, when, and by which code and command."""

from __future__ import annotations

import datetime
import getpass
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from medexp.redact import redact
from medexp.tracking.code_state import code_state


@dataclass(frozen=True)
class Signature:
    """What a decision is signed with.

    Args:
        who: user and host.
        when: ISO 8601, UTC.
        command: that was typed, without passwords.
        commit: of the code that judged; None where there is no repository. A `+` says that it was changed since.
    """

    who: str
    when: str
    command: tuple[str, ...]
    commit: str | None


def signature(root: Path, *, outputs: Path) -> Signature:
    """Sign now; `root` is the checkout, `outputs` a folder in it that is no code."""
    code = code_state(root, ignore=(outputs,))
    commit = None if code.commit is None else f"{code.commit}{'+' if code.changes else ''}"
    return Signature(
        who=f"{_user()}@{platform.node()}",
        when=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=tuple(redact(text) for text in (Path(sys.argv[0]).name, *sys.argv[1:])),
        commit=commit,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())
