"""Go back to the champion before."""

from __future__ import annotations

from dataclasses import asdict

from medexp.config.schema_promote import PromoteConfig
from medexp.console import wide_console
from medexp.errors import MedexpError, RegistryError
from medexp.experiment.promotion.signed import signature
from medexp.experiment.run_files import run_files
from medexp.registry.bundle import Bundle
from medexp.registry.decision import Decision
from medexp.registry.lineage import CHAMPION
from medexp.registry.promotion import Back, Promotion
from medexp.tracking.store import store_errors


def roll_back(promotion: Promotion, config: PromoteConfig) -> str:
    """Make the champion before the present one the champion again, once its bundle is verified; return its version.

    Raises:
        RegistryError: there is none, or its bundle cannot be served.
    """
    back = promotion.back()
    _require_bundle(promotion.model_of(back.version), back, config)
    signed = signature(config.paths.root, outputs=config.paths.outputs)
    decision = Decision(
        action="rollback",
        model_name=config.model_name,
        alias=CHAMPION,
        run_id=back.run_id,
        version=back.version,
        history=back.history,
        outcome="begun",
        **asdict(signed),
    )
    version = promotion.roll_back(decision)
    what = "The rollback was interrupted, and is finished" if back.resumed else "Back"
    before = f"; it was version {back.history[-1]}" if not back.resumed else ""
    wide_console().print(
        f"{what}: version {version} of {config.model_name} is {CHAMPION}{before}. Recorded in MLflow, kind promotion",
        soft_wrap=True,
    )
    return version


def _require_bundle(model_id: str, back: Back, config: PromoteConfig) -> None:
    with run_files(outputs=config.paths.outputs, uri=config.tracking.uri) as files:
        try:
            with store_errors(config.tracking.uri):
                Bundle.open(files.bundle(model_id)).verify()
        except MedexpError as error:
            raise RegistryError(
                f"The champion before cannot be served: nothing was changed. Received: version {back.version}. {error} "
                "Promote another: python scripts/promote.py run=<run id>"
            ) from error
