"""From `conf/promote.yaml` to the rules of the gates."""

from __future__ import annotations

from medexp.config.schema_promote import GatesConfig
from medexp.registry.gates.rules import CalibrationRule, ChampionRule, EngineRule, FloorRule, Rules, SubgroupRule


def rules_of(config: GatesConfig) -> Rules:
    """Return what each gate requires; None for one that is turned off."""
    floors, champion, subgroup = config.floors, config.champion, config.subgroup
    calibration, engines = config.calibration, config.engines
    return Rules(
        floors=None if floors is None else FloorRule(dict(floors.metrics), floors.by),
        champion=None
        if champion is None
        else ChampionRule(champion.rule, champion.challenger_rule, champion.metric, champion.margin, champion.power),
        subgroup=None if subgroup is None else SubgroupRule(subgroup.floor, subgroup.required),
        calibration=None
        if calibration is None
        else CalibrationRule(calibration.ece, (calibration.slope[0], calibration.slope[1])),
        latency_ms=config.latency_ms,
        leakage=None if config.leakage is None else tuple(config.leakage),
        engines=None if engines is None else EngineRule(tuple(engines.required), engines.flips),
        same_data=config.same_data,
    )
