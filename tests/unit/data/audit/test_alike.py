from __future__ import annotations

from medexp.data.audit.alike import alike_sets
from medexp.data.audit.findings import Finding, ImageRef, Instance
from medexp.data.audit.report import AuditReport


def report(*pairs: str, kind: str = "near_duplicates_within_split") -> AuditReport:
    instances = tuple(
        Instance(kind, tuple(pair), tuple(ImageRef(token, f"{token}.png", "train", "x", None, 0) for token in pair))
        for pair in pairs
    )
    return AuditReport("d", (Finding(kind, "note", "", instances),), (), {}, {}, 0.0)


def sets(found: AuditReport) -> list[str]:
    return ["".join(image.token for image in images) for images in alike_sets(found)]


def test_images_are_alike_by_others_between_them() -> None:
    assert sets(report("ab", "cd", "bc", "xy")) == ["abcd", "xy"]


def test_only_likeness_counts() -> None:
    assert sets(report("ab", kind="duplicates_within_split")) == []
