"""`python scripts/compare.py runs=[...]`: runs that a person names, compared in a run of its own."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from medexp.config.schema_compare import CompareConfig
from medexp.console import wide_console
from medexp.errors import ConfigError, DataError
from medexp.experiment.proof.prove import Proof, compared, facts, numbers, show
from medexp.experiment.proof.record import recorder
from medexp.experiment.proof.tested_run import TestedRun, read_tested
from medexp.experiment.record import source_tags
from medexp.experiment.run_files import RunFiles, run_files

logger = logging.getLogger(__name__)
BELOW = "comparisons"


def compare_runs(config: CompareConfig) -> Proof:
    """Compare the runs that `config` names, and record it as a run `compare-<metric>-<data>`.

    Raises:
        MedexpError: a run is unknown or was not tested, or they were tested on different images.
    """
    assert config.runs is not None
    with run_files(outputs=config.paths.outputs, uri=config.tracking.uri) as files:
        runs = _tested(config.runs, files)
        found = compared(runs, config.proof)
        ids = [run.run_id for run in runs]
        tags = {**source_tags("scripts/compare.py"), "medexp.kind": "comparison", "medexp.compares": " ".join(ids)}
        tracker = recorder(config)
        with tracker.start(
            f"compare-{found.metric}-{found.data}", below=config.paths.outputs / BELOW, tags=tags
        ) as run:
            proof = show(found, run.folder, top=config.top, where={"compared by": run.id})
            run.log_params({f"proof.{key}": value for key, value in config.proof.model_dump().items()})
            run.log_tags(facts(found))
            run.log_metrics(numbers(found), step=0)
            for path in sorted(run.folder.glob("*.*")):
                if path.suffix in (".json", ".html", ".png"):
                    run.log_files(path)
            run.drain()
    console = wide_console()
    console.print(f"  page     {proof.folder / 'comparison.html'}", soft_wrap=True)
    console.print(f"  record   {tracker.where(run.id)}", soft_wrap=True)
    return proof


def _tested(named: Sequence[str], files: RunFiles) -> list[TestedRun]:
    ids = list(dict.fromkeys(files.resolve(name) for name in named))
    if len(ids) < 2:
        raise ConfigError(f"runs: at least two different ones are compared. Received: {', '.join(named)}.")
    found = {run_id: read_tested(run_id, files) for run_id in ids}
    missing = [run_id for run_id, run in found.items() if run is None]
    if missing:
        raise DataError(
            f"Runs without predictions of test images: they were validated only (a search), or have not ended. "
            f"Received: {', '.join(missing)}. Train such a variant whole: python scripts/train.py <its overrides>"
        )
    return [run for run in found.values() if run is not None]
