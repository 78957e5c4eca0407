"""Optuna's samplers by our names: who chooses the parameters of a trial."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

from medexp.errors import ConfigError, unknown
from medexp.sweep.options import check_options, refused
from medexp.sweep.space import Interval, Space

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

SAMPLERS = ("grid", "brute_force", "random", "qmc", "tpe", "cmaes", "nsga2", "gp")
EXHAUSTIVE = ("grid", "brute_force")
_KINDS: dict[str, type[BaseSampler]] = {
    "random": RandomSampler,
    "qmc": QMCSampler,
    "tpe": TPESampler,
    "cmaes": CmaEsSampler,
    "nsga2": NSGAIISampler,
    "gp": GPSampler,
}
_NEEDS = {"gp": ("torch", "greenlet"), "cmaes": ("cmaes",)}
# Optuna says that these have no effect, or will go.
_GONE = frozenset(
    {"consider_prior", "prior_weight", "consider_magic_clip", "consider_endpoints", "sigma0", "restart_strategy"}
    | {"inc_popsize", "warn_independent_sampling", "warn_asynchronous_seeding", "seed"}
)


def check_sampler(name: str, options: Mapping[str, Any], *, space: Space, objectives: int = 1) -> None:
    """Refuse before anything starts what would fail at some trial.

    Args:
        name: one of `SAMPLERS`.
        options: of Optuna's class, by its names.
        space: what it is to search.
        objectives: how many there are.

    Raises:
        ConfigError: a package is missing, an option is unknown or wrong, or the sampler cannot search such a space.
    """
    if name not in SAMPLERS:
        raise ConfigError(f"search.sampler: {unknown('sampler', name, SAMPLERS)}")
    if missing := [package for package in _NEEDS.get(name, ()) if importlib.util.find_spec(package) is None]:
        raise ConfigError(
            f"search.sampler={name} needs what is not installed: pip install {' '.join(missing)}. "
            "Override: search.sampler=tpe"
        )
    if not space.parameters and space.condition is None and name != "grid":
        raise ConfigError(
            f"There is nothing to search. Received: search.sampler={name} without a space. Override: search=optuna, "
            "or a range such as 'optimizer.learning_rate=tag(log,interval(1e-4,1e-2))'"
        )
    if name == "cmaes" and objectives > 1:
        raise ConfigError(
            "cmaes has one objective. Received: search.objectives of several. Override: search.sampler=nsga2"
        )
    if name == "cmaes" and not any(isinstance(parameter, Interval) for parameter in space.parameters):
        raise ConfigError(
            f"cmaes searches numbers, the space has choices only. Received: {', '.join(space.names)}. "
            "Override: search.sampler=tpe"
        )
    sampler(name, options, seed=0, space=space, index=0)


def sampler(name: str, options: Mapping[str, Any], *, seed: int, space: Space, index: int) -> BaseSampler:
    """Return the sampler for one trial. What it takes depends on seed, index and the trials that are done, alone.

    So a study that was interrupted goes on as if it had not been, and processes that share one do not repeat each
    other. To be built anew for each trial; a retry has the index of the trial before it.

    Args:
        name: one of `SAMPLERS`.
        options: of Optuna's class, by its names.
        seed: of the study, the same for all trials (the index is mixed in here).
        space: what is searched; for `grid` and `brute_force` with its combinations.
        index: which trial this is, from 0, retries not counted.

    Raises:
        ConfigError: the name is none of them, or Optuna refuses the options.
    """
    if name not in SAMPLERS:
        raise ConfigError(f"search.sampler: {unknown('sampler', name, SAMPLERS)}")
    if name in EXHAUSTIVE:
        check_options("search.sampler_options", None, options, of=name)
        return _ByIndex(space, index)
    own: dict[str, Any] = {"seed": _mixed(seed, index)}
    make: Callable[..., BaseSampler] = _KINDS[name]
    if name == "tpe" and space.condition is not None:
        own |= {"group": True, "multivariate": True}  # what stands together in some trials is modelled together
    elif name == "qmc":
        own = {"scramble": True, "seed": seed}  # one sequence for all trials: each takes its own point of it
        make = _qmc(space, index)
    elif name == "cmaes":
        make = _cmaes(index)
    if name in ("cmaes", "gp", "qmc"):
        own["warn_independent_sampling"] = False  # choices are beside a sampler of numbers, that is known
    check_options("search.sampler_options", _KINDS[name], options, of=name, without=_GONE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            return make(**{**own, **options})
        except (TypeError, ValueError) as error:
            raise refused("search.sampler_options", options, error) from error


def _mixed(seed: int, index: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{index}".encode()).digest()[:4], "big")


class _ByIndex(BaseSampler):
    """The i-th trial takes the i-th combination: whoever asks, none is taken twice."""

    def __init__(self, space: Space, index: int) -> None:
        self._space = space
        self._index = index

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        assignments = self._space.assignments or ()
        if self._index >= len(assignments):
            raise ConfigError(
                f"The space has {len(assignments)} combinations, there is no other for trial {self._index}. "
                f"Override: search.n_trials={len(assignments)}"
            )
        return assignments[self._index][param_name]


def _qmc(space: Space, index: int) -> Callable[..., BaseSampler]:
    """Optuna takes the first trial at random, counts asked trials and learns the space from the first that is done.

    Here all is known, so that the i-th trial takes the i-th point, whatever became of the others.
    """

    class _Qmc(QMCSampler):
        def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
            return {p.name: p.distribution for p in space.parameters if not p.distribution.single()}

        def _find_sample_id(self, study: Study, search_space: dict[str, BaseDistribution]) -> int:
            return index

    return _Qmc


def _cmaes(index: int) -> Callable[..., BaseSampler]:
    """Optuna mixes the trial's number into the seed, which differs once a trial was retried; the index does not."""

    class _CmaEs(CmaEsSampler):
        def sample_relative(
            self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
        ) -> dict[str, Any]:
            numbered = copy.copy(trial)
            numbered.number = index
            return super().sample_relative(study, numbered, search_space)

    return _CmaEs
