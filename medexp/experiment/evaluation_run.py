"""What `scripts/evaluate.py` does: a trained run, evaluated in a run of its own."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Literal

from medexp.config.instantiate import instantiate
from medexp.config.saved import RESULT
from medexp.config.schema import AugmentedDataConfig, DataConfig, InputConfig, TrainConfig
from medexp.errors import ConfigError, DataError
from medexp.evaluation.summary import WEIGHTS
from medexp.experiment.asked import check_asked
from medexp.experiment.data import data_module, say_data
from medexp.experiment.record import record, source_tags
from medexp.experiment.recorded import Execution, recorded
from medexp.experiment.result_file import read_result, write_result
from medexp.experiment.results import best_network
from medexp.experiment.tested import Origin, test_and_export
from medexp.experiment.train import classifier_module, say_result
from medexp.tracking.base import Tracker
from medexp.types import RunResult

logger = logging.getLogger(__name__)
BELOW = "evaluations"


def evaluate_run(
    folder: Path, config: TrainConfig, *, other: DataConfig | None, images: Literal["test", "all"]
) -> RunResult:
    """Evaluate the run in `folder` and print what was found; files are in `outputs/evaluations/<id>`.

    On its own data, what validation decides is fitted anew, and a bundle is written. On other data nothing is: the
    model is measured as it is served.

    Args:
        folder: of the trained run.
        config: its own, with evaluation and card as they are asked for.
        other: data that are not its own.
        images: which of them.

    Raises:
        ConfigError: the run has no result or no weights.
        DataError: other data have other classes or another task.
    """
    trained = read_result(folder)
    if trained is None or not (folder / WEIGHTS).is_file():
        missing = RESULT if trained is None else WEIGHTS
        raise ConfigError(
            f"The run cannot be evaluated: it was trained for a search only, or has not ended. Received: {folder} "
            f"without {missing}. Go on with it: python scripts/train.py resume={folder.name}; or train it again"
        )
    name = config.data.name if other is None else other.name
    if other is not None:
        config = config.model_copy(update={"data": _as_trained(other, config, trained)})
    config = config.model_copy(update={"name": f"evaluate-{config.model['name']}-{name}"})
    tracker: Tracker = instantiate("logger", config.logger)
    tags = {
        **source_tags("scripts/evaluate.py"),
        "medexp.kind": "evaluation",
        "medexp.evaluates": trained.run_id,
        "medexp.objective": config.objective.metric,
        "medexp.objective_mode": config.objective.mode,
    }
    with recorded(config, tracker, below=BELOW, tags=tags) as execution:
        result = _run(config, trained, folder, execution, own=other is None, all_test=images == "all")
    say_result(result, tracker, execution, aim=config.evaluation.operating_point)
    return result


def _run(
    config: TrainConfig, trained: RunResult, source: Path, execution: Execution, *, own: bool, all_test: bool
) -> RunResult:
    run, folder = execution.run, execution.folder

    # ---- the process
    from medexp.training import session

    session.load_backend(config.runtime.backend, native_log=execution.log)
    session.reset(seed=config.seed, precision="float32", deterministic=config.runtime.deterministic)
    record(config, run, folder)

    # ---- data
    data = data_module(config.data, seed=config.seed, all_test=all_test)
    data.prepare()
    spec = data.setup()
    if (spec.task, spec.class_names) != (trained.data.task, trained.data.class_names):
        raise DataError(
            f"The model does not know these classes. Received: {spec.task} of {', '.join(spec.class_names)}; it was "
            f"trained on {trained.data.task} of {', '.join(trained.data.class_names)}. Override: data.classes=[...] or "
            "rename the labels"
        )
    if own and spec.digest != trained.data.digest:
        raise DataError(
            f"The data of the run have changed: its test images may be among those that it was trained on. Received: "
            f"digest {spec.digest}, the run was trained on {trained.data.digest}. To test on the new ones: data=..."
        )
    run.log_data(spec)
    run.log_tags({"medexp.split": spec.split, "medexp.data_digest": spec.digest})
    say_data(spec, config.data)
    check_asked(config.evaluation, spec, columns=data.examples("test").metadata)

    # ---- evaluate, and export what was fitted
    network = best_network(classifier_module(config), trained.data, source / WEIGHTS)
    origin = Origin(trained.run_id, trained.data.digest, source, trained.metrics, own_data=own)
    if own:
        selected = {name: v for name, v in trained.metrics.items() if name.startswith("val_")}
        run.log_metrics({f"best_{name}": value for name, value in selected.items()}, step=0)
    tested = test_and_export(config, network, data, execution, origin=origin)
    kept = {name: value for name, value in trained.metrics.items() if not name.startswith("test_")}
    result = replace(
        trained,
        run_id=run.id,
        run_dir=folder,
        metrics={**kept, **tested.metrics},
        data=spec,
        bundle=tested.bundle,
        model_uri=tested.model_uri,
        test_images=tested.images,
    )
    run.log_files(write_result(result))
    return result


def _as_trained(other: DataConfig, config: TrainConfig, trained: RunResult) -> DataConfig:
    """Return `other` with the pixels, classes and task that the model knows."""
    pixels = {key: list(v) if isinstance(v, tuple) else v for key, v in vars(trained.data.input).items()}
    known = {
        "input": InputConfig.model_validate(pixels),
        "task": trained.data.task,
        "classes": list(trained.data.class_names),
        "positive": trained.data.positive,
        "batch_size": config.data.batch_size,
    }
    asked = other.model_dump()
    if other.classes is not None:
        known["classes"] = other.classes
    return AugmentedDataConfig.model_validate({**asked, **known, "aug": config.data.aug})
