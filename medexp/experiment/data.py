"""The data of a run: built from its configuration, audited, and described in the log."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medexp.config.instantiate import instantiate
from medexp.config.schema import AuditConfig, DataConfig
from medexp.tracking.base import Run
from medexp.types import DataSpec, InputSpec, Invariances

if TYPE_CHECKING:
    from medexp.data.audit.report import AuditReport
    from medexp.data.module import DataModule

logger = logging.getLogger(__name__)
AUDIT = "audit"


def data_module(config: DataConfig, *, seed: int, all_test: bool = False) -> DataModule:
    """Return the data module that `config` describes; nothing is read yet.

    With `all_test` every image is in the test split: of data that nothing is trained on.
    """
    from medexp.data.cache.open import PixelCache
    from medexp.data.module import DataModule, SplitRule

    pixels: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in config.input.model_dump().items()
    }
    return DataModule(
        instantiate("data", config.source),
        name=config.name,
        input=InputSpec(**{**pixels, "bits": config.input.bits or 8}),
        any_depth=config.input.bits is None,
        task=config.task,
        classes=None if config.classes is None else tuple(config.classes),
        positive=config.positive,
        batch_size=config.batch_size,
        rule=SplitRule(
            **config.split.model_dump(exclude={"together"}),
            fold=config.fold,
            file=_path(config.split_file),
            together=_path(config.split.together),
            all_test=all_test,
        ),
        seed=seed,
        sampling=config.sampling,
        workers=config.workers,
        cache=PixelCache(config.cache.folder, max_bytes=config.cache.max_gb * 1e9, workers=config.cache.workers),
        invariances=Invariances(**config.invariances.model_dump()),
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text).expanduser().absolute()


def audit_data(
    config: DataConfig,
    options: AuditConfig,
    data: DataModule,
    run: Run,
    folder: Path,
    *,
    seed: int,
    page: bool = True,
) -> AuditReport:
    """Look for what makes a result worthless, and record it: files below `folder`/audit, tags of the run.

    Without a `page` there are files only where something is refused: hundreds of trials share one audit.
    """
    from medexp.data.audit.findings import Acceptance
    from medexp.data.audit.remembered import audit_once
    from medexp.data.audit.write import write_report

    dataset = data.load()
    accept = [Acceptance(item.finding, tuple(item.items), item.reason) for item in config.accept]
    report = audit_once(
        dataset, folder=config.cache.folder / "audits", **options.model_dump(), seed=seed, accept=accept
    )
    if page or report.refused:
        write_report(report, dataset, folder / AUDIT)
        run.log_files(folder / AUDIT, AUDIT)
    run.log_tags(_tags(report))
    return report


def _tags(report: AuditReport) -> dict[str, str]:
    """Say how the audit went, and which findings were accepted, where a list of runs can be searched."""
    accepted = Counter(instance.kind for instance in report.accepted)
    state = "refused" if report.refused else "warned" if report.warnings else "accepted" if accepted else "clean"
    return {
        "medexp.audit": state,
        "medexp.audit.refused": str(len(report.refused)),
        "medexp.audit.warnings": ", ".join(finding.kind for finding in report.warnings),
        "medexp.audit.accepted": ", ".join(f"{kind}: {count}" for kind, count in sorted(accepted.items())),
    }


def say_data(spec: DataSpec, config: DataConfig) -> None:
    """Log how many images of each class are in each split, and which split it is."""
    if spec.synthetic:
        logger.warning("data %s is SYNTHETIC: no patient's image, no number here says anything of patients", spec.name)
    for split, counts in spec.counts.items():
        logger.info("  %-5s %s", split, ", ".join(f"{n} {name}" for name, n in counts.items()))
    fold = f", fold {config.fold} of {config.split.folds}, repeat {config.split.repeat}"
    logger.info("  split %s%s", spec.split, fold if config.fold is not None else "")
