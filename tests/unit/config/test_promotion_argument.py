from __future__ import annotations

from collections.abc import Iterator

import pytest
from hydra import compose, initialize_config_dir

from medexp.config.load import load_promote
from medexp.config.register import CONF, register
from medexp.config.run_argument import expand_promotion
from medexp.config.schema_promote import PromoteConfig


@pytest.fixture(scope="module", autouse=True)
def _hydra() -> Iterator[None]:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def composed(*arguments: str) -> PromoteConfig:
    return load_promote(compose("promote", overrides=expand_promotion(arguments)))


def test_a_reason_may_have_commas_quotes_and_equal_signs() -> None:
    for reason in ("same accuracy, ten times faster", "the champion's data = ours", 'seen by "us"'):
        assert composed("waive=[champion]", f"reason={reason}").reason == reason


def test_an_id_that_looks_like_a_number_stays_as_it_is() -> None:
    assert composed("run=12e456").run == "12e456"
    assert composed("sweep=012345").sweep == "012345"
    assert composed("run=null", "apply=true").run is None


def test_floors_of_other_metrics_are_added() -> None:
    config = composed("+gates.floors.metrics.sensitivity=0.9", "gates.floors.metrics.auc=0.8")
    assert config.gates.floors is not None
    assert config.gates.floors.metrics == {"auc": 0.8, "sensitivity": 0.9}


def test_a_gate_is_turned_off_by_null() -> None:
    gates = composed("gates.floors=null", "gates.champion=null", "gates.leakage=null", "gates.latency_ms=null").gates
    assert (gates.floors, gates.champion, gates.leakage, gates.latency_ms) == (None, None, None, None)
