"""What a model still can when images are noisy, blurred, too bright or compressed."""

from medexp.evaluation.robustness.corruption import CORRUPTIONS, SEVERITIES, corrupt
from medexp.evaluation.robustness.drawing import draw_corruptions, draw_robustness
from medexp.evaluation.robustness.section import robustness_section

__all__ = ["CORRUPTIONS", "SEVERITIES", "corrupt", "draw_corruptions", "draw_robustness", "robustness_section"]
