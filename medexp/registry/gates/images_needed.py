"""How many images would show that a candidate is not inferior."""

from __future__ import annotations

import math
from statistics import NormalDist

from medexp.registry.gates.facts import Paired


def images_needed(paired: Paired, *, margin: float, power: float) -> int | None:
    """Return how many test images would show non-inferiority, if the advantage that was seen is the true one.

    The standard error is that of the interval, and shrinks with the root of the number of images: n ((z_alpha + z_beta)
    se / (advantage + margin))^2, as for any test of a mean difference (Julious, Stat Med 23:1921, 2004).

    Args:
        paired: what was seen.
        margin: by which the candidate may be worse, above 0.
        power: chance that so many images would show it.

    Returns:
        None where no number would: the candidate is worse by the margin or more, or the interval has no width.
    """
    normal = NormalDist()
    z = normal.inv_cdf((1 + paired.confidence) / 2)
    error = (paired.advantage.high - paired.advantage.low) / (2 * z)
    distance = paired.advantage.value + margin
    if not (distance > 0 and error > 0 and math.isfinite(error)):
        return None
    ratio = (z + normal.inv_cdf(power)) * error / distance
    return math.ceil(paired.images * ratio**2)
