"""The scores of a network: each image passes through it once, calibrations are tried on its features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medexp.errors import TrainingError
from medexp.experiment.in_batches import in_batches
from medexp.types import DataSpec, Split

if TYPE_CHECKING:
    import keras
    import numpy as np

    from medexp.data.module import DataModule
    from medexp.evaluation.predictions import Predictions


_FEATURES = 4096  # of so many images pass through a head at once


class Scores:
    """Features of each split, computed when they are first asked for, and what a head makes of them.

    Args:
        network: whose features; a calibrated one has the same.
        data: set up.
        spec: of the data, its classes in the network's order.
    """

    def __init__(self, network: keras.Model, data: DataModule, spec: DataSpec) -> None:
        from medexp.models.serving import feature_extractor

        self._extractor = feature_extractor(network)
        self._data = data
        self._spec = spec
        self._features: dict[tuple[Split, int | None], np.ndarray] = {}

    def features(self, split: Split, *, limit: int | None = None) -> np.ndarray:
        """Return pooled features (n, d) of a split, or of `limit` images spread over it.

        Raises:
            TrainingError: they are not finite: the training diverged.
        """
        import numpy as np

        from medexp.imaging.scale import scale

        if (split, limit) not in self._features:
            if limit is None:
                found = self._extractor.predict(self._data.batches(split), verbose=0)
            else:
                images = self._data.images(split, self._data.spread(split, limit))
                found = in_batches(self._extractor, scale(images).astype(np.float32))
            if not np.isfinite(found).all():
                raise TrainingError(
                    f"The training diverged. Received: features of {split} that are no numbers, from the best weights "
                    "there were. Try a smaller optimizer.learning_rate"
                )
            self._features[split, limit] = found
        return self._features[split, limit]

    def logits(self, split: Split, network: keras.Model) -> np.ndarray:
        """Return what the last layer of `network` says of a split before its activation, (n, outputs)."""
        from medexp.models.logit_head import logit_head

        return in_batches(logit_head(network), self.features(split), size=_FEATURES)

    def predictions(self, split: Split, network: keras.Model) -> Predictions:
        """Return what `network` says of a split; it has the features of the one that this was made with.

        Raises:
            TrainingError: probabilities that are no numbers.
        """
        import numpy as np

        from medexp.evaluation.predictions import Predictions
        from medexp.models.serving import head

        part, spec = self._data.examples(split), self._spec
        probabilities = in_batches(head(network, task=spec.task), self.features(split), size=_FEATURES)
        if not np.isfinite(probabilities).all():
            raise TrainingError(
                f"The training diverged. Received: no numbers as probabilities of {split}, from the best weights there "
                "were. Try a smaller optimizer.learning_rate"
            )
        return Predictions(
            split, part.keys, part.labels, probabilities, spec.class_names, spec.task, part.groups, part.metadata
        )
