from __future__ import annotations

import pytest

from medexp.sweep.killed import memory_kills, was_killed, why_ended


@pytest.mark.parametrize(
    ("status", "killed", "words"),
    [
        (0, False, None),
        (2 << 8, False, "ended with exit status 2"),
        (143 << 8, True, "stopped by SIGTERM"),
        (130 << 8, True, "stopped by SIGINT"),
        (15, True, "killed by signal 15 (SIGTERM)"),
        (6 | 0x80, True, "killed by signal 6 (SIGABRT): a native library gave up"),  # with a core file
        (9, True, "killed by signal 9 (SIGKILL): by a person, a scheduler, or for want of memory? For less: Override:"),
        (34, True, "killed by signal 34"),
    ],
)
def test_a_status_is_said_in_words(status: int, killed: bool, words: str | None) -> None:
    text = why_ended(status, out_of_memory=False)
    assert was_killed(status) == killed
    assert text is None if words is None else str(text).startswith(words)


def test_a_process_that_the_kernel_killed_for_its_memory_is_told_what_takes_less() -> None:
    text = why_ended(9, out_of_memory=True)
    assert text is not None
    assert "the memory of the computer or its container was used up" in text
    assert "data.batch_size" in text


def test_the_kernel_is_asked_how_many_it_has_killed() -> None:
    assert memory_kills() >= 0
