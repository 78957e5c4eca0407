"""When a model had better not answer: sets of more than one class, and images unlike those it has learnt from."""

from medexp.evaluation.abstention.conformal import fit_conformal
from medexp.evaluation.abstention.drawing import draw_abstention
from medexp.evaluation.abstention.feature_space import fit_feature_space
from medexp.evaluation.abstention.section import abstention_section

__all__ = ["abstention_section", "draw_abstention", "fit_conformal", "fit_feature_space"]
