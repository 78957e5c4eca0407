"""Everything that gates look at, gathered from the store, the run's folder and the bundles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medexp.config.schema_promote import PromoteConfig
from medexp.errors import MedexpError
from medexp.evaluation.evidence import Evidence, Subgroup
from medexp.evaluation.evidence_file import FILE, FOLDER, read_evidence
from medexp.evaluation.predictions import Predictions
from medexp.experiment.promotion.compared import Comparison
from medexp.experiment.run_files import RunFiles
from medexp.registry.bundle import Bundle
from medexp.registry.candidates import Candidate
from medexp.registry.checksum import sha256
from medexp.registry.gates.facts import AuditFacts, DataFacts, EngineFacts, Facts, WorstSubgroup
from medexp.registry.passport import PASSPORT, Passport

_EVALUATION = f"{FOLDER}/{FILE}"


@dataclass(frozen=True)
class Gathered:
    """Facts, and where they come from: ids and digests, for the record."""

    facts: Facts
    sources: Mapping[str, Any]


def gather(candidate: Candidate, champion: Candidate | None, *, files: RunFiles, config: PromoteConfig) -> Gathered:
    """Return what is known of the two; what is missing or broken is a fact, too."""
    bundle, bundle_problem = _opened(candidate, files)
    evidence, evidence_problem = _evidence(candidate, files)
    champion_bundle, champion_problem = (None, None) if champion is None else _opened(champion, files)
    paired, paired_problem = None, None
    if champion is not None and config.gates.champion is not None:
        comparison = Comparison(files, paths=config.paths, uri=config.tracking.uri, how=config.gates.champion)
        if bundle is None:
            paired_problem = "not compared: the candidate's bundle cannot be opened"
        elif champion_bundle is None:
            paired_problem = f"not compared: the champion's bundle cannot be opened. {champion_problem}"
        else:
            try:
                paired = comparison.paired(candidate, bundle, champion, champion_bundle)
            except MedexpError as error:
                paired_problem = f"not compared. {error}"
    calibration = None if evidence is None else evidence.calibration
    facts = Facts(
        data=_data(candidate, bundle),
        champion_data=None if champion is None else _data(champion, champion_bundle),
        bundle_problem=bundle_problem,
        evidence_problem=evidence_problem,
        metrics={} if evidence is None else dict(evidence.metrics.get("test", {})),
        intervals=evidence is not None and evidence.resampling.resamples > 0,
        ece=None if calibration is None else calibration.after.ece,
        slope=None if calibration is None else calibration.after.slope,
        worst=_worst(evidence),
        engines=() if bundle is None else _engines(bundle.passport),
        audit=_audit(candidate.tags),
        paired=paired,
        paired_problem=paired_problem,
        unjudged=None if evidence is None else _unjudged(evidence),
        unasked=() if evidence is None else _unasked(candidate, evidence, files),
    )
    return Gathered(facts, _sources(candidate, champion, bundle, evidence))


def _opened(of: Candidate, files: RunFiles) -> tuple[Bundle | None, str | None]:
    """The bundle as the service would open it, and what is the matter with it."""
    try:
        bundle = Bundle.open(files.bundle(of.model_id))
        bundle.verify()
    except MedexpError as error:
        return None, str(error)
    if bundle.passport.run_id not in (of.run_id, of.trained_by):
        return None, f"It is the bundle of another run. Received: {bundle.passport.run_id}."
    return bundle, None


def _evidence(of: Candidate, files: RunFiles) -> tuple[Evidence | None, str | None]:
    command = f"python scripts/evaluate.py {of.trained_by}, then promote what it prints: run=<id of the evaluation>"
    path = files.find(of.run_id, _EVALUATION)
    if path is None:
        return None, f"there is none. Evaluate it: {command}"
    try:
        found = read_evidence(path.parent)
    except MedexpError as error:
        return None, f"{error}: {command}"
    if of.run_id not in (found.run_id, found.evaluation_id) or found.data.get("digest") != of.digest:
        return None, f"it is of run {found.run_id} on data {found.data.get('digest')}. Evaluate it: {command}"
    return found, None


def _data(of: Candidate, bundle: Bundle | None) -> DataFacts:
    task = "binary" if bundle is None else bundle.passport.task
    names = () if bundle is None else bundle.passport.class_names
    return DataFacts(of.data, of.digest, of.synthetic, task, names)


def _engines(passport: Passport) -> tuple[EngineFacts, ...]:
    """What the passport says of each graph; the first is the one that is served."""
    return tuple(
        EngineFacts(
            kind=record.kind,
            agrees=record.agrees,
            why_not=record.why_not,
            difference=record.difference,
            flips=record.flips,
            milliseconds=None if record.milliseconds is None else record.milliseconds.get("1"),
            chosen=place == 0,
        )
        for place, record in enumerate(passport.engines)
    )


def _worst(evidence: Evidence | None) -> WorstSubgroup | None:
    section = None if evidence is None else evidence.subgroups
    if section is None or section.worst is None or section.metric not in section.worst.metrics:
        return None
    worst: Subgroup = section.worst
    return WorstSubgroup(f"{worst.column}={worst.value}", section.metric, worst.images, worst.metrics[section.metric])


def _unjudged(evidence: Evidence) -> str | None:
    """Why there is no worst subgroup though some were looked for; None where none were, or there is one."""
    section = evidence.subgroups
    if section is None or _worst(evidence) is not None:
        return None
    if section.subgroups:
        return f"none of {len(section.subgroups)} subgroups tells {section.metric}"
    return "none to judge: " + "; ".join(f"{name} {why}" for name, why in section.left_out.items())


def _unasked(of: Candidate, evidence: Evidence, files: RunFiles) -> tuple[str, ...]:
    """Metadata columns of the test images that the evaluation has not divided them by."""
    path = files.find(of.run_id, "predictions/test.csv")
    if path is None:
        return ()
    try:
        known = Predictions.read(path, "test", class_names=evidence.class_names, task=evidence.task).metadata
    except MedexpError:
        return (f"the columns of {path.name}, which cannot be read",)
    section = evidence.subgroups
    if section is None:
        return tuple(known)
    asked = {subgroup.column for subgroup in section.subgroups}
    return tuple(
        name
        for name in known
        if name not in asked and not any(key == name or key.startswith(f"{name}=") for key in section.left_out)
    )


def _audit(tags: Mapping[str, str]) -> AuditFacts:
    """What the tags of the training say (`medexp.experiment.data`)."""
    pairs = [text.rpartition(": ") for text in tags.get("medexp.audit.accepted", "").split(", ") if text]
    return AuditFacts(
        state=tags.get("medexp.audit", ""),
        accepted={kind: int(count) for kind, _, count in pairs},
        refused=int(tags.get("medexp.audit.refused", "0") or 0),
    )


def _sources(
    candidate: Candidate, champion: Candidate | None, bundle: Bundle | None, evidence: Evidence | None
) -> dict[str, Any]:
    return {
        "candidate": {
            "run_id": candidate.run_id,
            "trained_by": candidate.trained_by,
            "model_id": candidate.model_id,
            "overrides": candidate.overrides,
            "score": candidate.score,
            "passport_sha256": None if bundle is None else sha256(bundle.path / PASSPORT),
        },
        "champion": None
        if champion is None
        else {"run_id": champion.run_id, "version": champion.version, "model_id": champion.model_id},
        "evaluation": None
        if evidence is None
        else {
            "evaluation_id": evidence.evaluation_id,
            "created": evidence.created,
            "data": dict(evidence.data),
            "resampling": vars(evidence.resampling),
        },
    }
