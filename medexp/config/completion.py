"""`-sc bash` for tab completion: short for Hydra's `-sc install=bash`."""

from __future__ import annotations

from collections.abc import Sequence

from medexp.errors import ConfigError, unknown

SHELLS = ("bash", "fish", "zsh")


def expand_completion(arguments: Sequence[str]) -> list[str]:
    """Return the command line with the name of a shell after `-sc` written as Hydra wants it.

    Raises:
        ConfigError: `-sc` is followed by something that is neither a shell nor Hydra's `install=`, `uninstall=`
            or `query=`.
    """
    from hydra._internal.utils import get_args_parser

    parsed, _ = get_args_parser().parse_known_args(list(arguments))
    if not parsed.shell_completion or any("=" in item for item in parsed.overrides):
        return list(arguments)
    shell = parsed.overrides[0] if parsed.overrides else ""
    if shell not in SHELLS:
        raise ConfigError(f"-sc: {unknown('shell', shell, SHELLS)} Use: -sc bash")
    return [f"install={item}" if item == shell else item for item in arguments]
