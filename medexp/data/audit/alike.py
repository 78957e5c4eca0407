"""Which images are nearly the same, directly or by others between them."""

from __future__ import annotations

from medexp.data.audit.findings import ImageRef
from medexp.data.audit.report import AuditReport

KINDS = ("near_duplicates_across_splits", "near_duplicates_within_split", "near_conflicts")


def alike_sets(report: AuditReport) -> list[tuple[ImageRef, ...]]:
    """Return sets of images, largest first, in which each is nearly the same as another one."""
    images: dict[str, ImageRef] = {}
    home: dict[str, str] = {}

    def root(token: str) -> str:
        while home[token] != token:
            token = home[token]
        return token

    for finding in report.findings:
        if finding.kind in KINDS:
            for instance in finding.instances:
                for image in instance.images:
                    images.setdefault(image.token, image)
                    home.setdefault(image.token, image.token)
                first, *others = (root(image.token) for image in instance.images)
                for other in others:
                    home[root(other)] = root(first)
    sets: dict[str, list[ImageRef]] = {}
    for token in sorted(images):
        sets.setdefault(root(token), []).append(images[token])
    return sorted((tuple(found) for found in sets.values()), key=lambda found: (-len(found), found[0].token))
