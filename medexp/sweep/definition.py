"""What a study is about, kept in its storage, so that another search does not go on with it unawares."""

from __future__ import annotations

import logging

from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from medexp.errors import SweepError
from medexp.sweep.plan import Plan

logger = logging.getLogger(__name__)

DEFINITION = "definition"  # attributes of the study, in the storage
PRUNER = "pruner"


def make_study(storage: BaseStorage, plan: Plan, *, allow_changed: bool) -> None:
    """Create the study of `plan`, or compare its definition with the one that is stored.

    The caller holds the storage's lock: who comes second must see all that the first has written.

    Raises:
        SweepError: it is another study. The message shows what differs: stored -> now.
    """
    directions = [StudyDirection.MAXIMIZE if o.mode == "max" else StudyDirection.MINIMIZE for o in plan.objectives]
    try:
        study_id = storage.get_study_id_from_name(plan.name)
    except KeyError:
        study_id = storage.create_new_study(directions, plan.name)
    stored = storage.get_study_user_attrs(study_id).get(DEFINITION)
    wanted = dict(plan.definition)
    if stored is not None and stored != wanted:
        keys = sorted(key for key in {*stored, *wanted} if stored.get(key) != wanted.get(key))
        if not allow_changed:
            changes = "\n".join(f"  {key}: {stored.get(key, '-')} -> {wanted.get(key, '-')}" for key in keys)
            raise SweepError(
                f"The study is another one. Received: search.study={plan.name}, where this has changed since:\n"
                f"{changes}\nOverride: search.fresh=true (a new study), search.allow_changed=true (go on with this one)"
            )
        logger.warning("the study goes on although this has changed: %s", ", ".join(keys))
    if storage.get_study_directions(study_id) != directions:
        raise SweepError(
            f"The study has other objectives. Received: search.study={plan.name}. Override: search.fresh=true"
        )
    if stored != wanted:
        storage.set_study_user_attr(study_id, PRUNER, {"name": plan.pruner, "options": dict(plan.pruner_options)})
        storage.set_study_user_attr(study_id, DEFINITION, wanted)
