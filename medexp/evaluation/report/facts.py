"""All that a report is filled from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medexp.evaluation.evidence import Evidence
from medexp.evaluation.metric_keys import metric_keys


@dataclass(frozen=True)
class Facts:
    """What the run knows of itself; nothing else may stand in a report.

    Args:
        evidence: of the evaluation.
        config: as it was composed, of the training.
        history: metrics of each epoch.
        audit: what `audit.json` holds; None where nobody audited the data.
        card: what only people know, by the keys of `conf/card`; None or missing: they have not said it.
        environment: what `environment.json` holds.
        passport: what `passport.json` holds; None where there is no bundle.
    """

    evidence: Evidence
    config: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]
    audit: Mapping[str, Any] | None
    card: Mapping[str, str | None]
    environment: Mapping[str, Any]
    passport: Mapping[str, Any] | None

    def setting(self, path: str) -> Any:
        """Return what the configuration holds at a path such as `loss.class_weights`; None where there is nothing."""
        value: Any = self.config
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    @property
    def model(self) -> str:
        """Name of the network."""
        return str((self.passport or {}).get("model") or self.setting("model.name") or "Unnamed network")

    @property
    def data(self) -> Mapping[str, Any]:
        """Of the data it was evaluated on."""
        return self.evidence.data

    @property
    def data_name(self) -> str:
        """Of the data it was evaluated on."""
        return str(self.data.get("name", "the data"))

    @property
    def external(self) -> bool:
        """Whether it was evaluated on other data than it was trained on."""
        return bool(self.evidence.trained_on) and self.evidence.trained_on != self.data.get("digest")

    @property
    def trained_data(self) -> Mapping[str, Any]:
        """Of the data it was trained on; empty where that is not known."""
        if not self.external:
            return self.data
        known: Mapping[str, Any] = (self.passport or {}).get("data", {})
        return known if known.get("digest") == self.evidence.trained_on else {}

    @property
    def synthetic(self) -> bool:
        """Whether a program drew the images of either data set."""
        return bool(self.data.get("synthetic") or self.trained_data.get("synthetic"))

    @property
    def class_keys(self) -> Mapping[str, str]:
        """Names of the classes by what stands for them in names of metrics."""
        return {key: name for name, key in metric_keys(self.evidence.class_names).items()}

    @property
    def groups(self) -> int | None:
        """How many groups (patients) the test split has; None where images stand alone."""
        how = self.evidence.resampling
        return how.units if how.unit == "group" else None

    @property
    def smallest_class(self) -> tuple[str, int] | None:
        """The class of which the test split has fewest images, and how many; None where they were not counted."""
        counts = self.counts(self.data).get("test", {})
        return min(counts.items(), key=lambda item: item[1]) if counts else None

    def said(self, key: str) -> str | None:
        """Return what people said of this key of the card; None where they have not."""
        text = self.card.get(key)
        return text.strip() if text and text.strip() else None

    def counts(self, data: Mapping[str, Any]) -> Mapping[str, Mapping[str, int]]:
        """Return images by split and class, of splits that have any."""
        counts: Mapping[str, Mapping[str, int]] = data.get("counts") or {}
        return {split: classes for split, classes in counts.items() if sum(classes.values())}

    def images(self, data: Mapping[str, Any], split: str) -> int | None:
        """Return how many images a split has; None where that is not known."""
        images = data.get("images") or {}
        if split in images:
            return int(images[split])
        if self.evidence.task == "multilabel" or split not in self.counts(data):
            return None  # the counts are of findings there
        return sum(self.counts(data)[split].values())
