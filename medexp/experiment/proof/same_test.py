"""Runs are compared on one test split only."""

from __future__ import annotations

from collections.abc import Sequence

from medexp.errors import DataError
from medexp.experiment.proof.tested_run import TestedRun


def require_same_test(runs: Sequence[TestedRun]) -> str:
    """Return the digest of the test split that all runs were scored on.

    Content and labels of the test images count, not what a run was trained on or at which size it sees them. (Runs that
    do not say who was in which split are compared by the digest of all of their data.)

    Raises:
        DataError: runs were tested on other images than most of them; names these.
    """
    by_digest: dict[str, list[TestedRun]] = {}
    for run in runs:
        by_digest.setdefault(run.test, []).append(run)
    ordered = sorted(by_digest, key=lambda digest: -len(by_digest[digest]))
    if len(ordered) > 1:
        listed = "".join(
            f"\n  {digest}: {run.run_id}, {run.result.data.name}, {len(run.predictions.keys)} test images"
            for digest in ordered
            for run in by_digest[digest]
        )
        others = sum(len(by_digest[digest]) for digest in ordered[1:])
        raise DataError(
            f"Scores on different test images cannot be compared. Received: {others} of {len(runs)} runs with another "
            f"test split. Leave them out, or evaluate them on the same data: python scripts/evaluate.py <run id> "
            f"data=...{listed}"
        )
    return ordered[0]
