"""evidence + hypothesis -> Decision (pure): measuring stops by it and reports show it.

Each function assumes the worst of what is unknown in the direction it decides: an unscored or never
asked prompt counts as good towards FAIL and as bad towards PASS.
"""

from safemlrm.decision.calibration import decide_calibration
from safemlrm.decision.coupling import decide_coupling, decide_share
from safemlrm.decision.decision import FEW, Decision, Measured, not_applicable
from safemlrm.decision.differences import decide_paired, decide_rise, stopped_pairs
from safemlrm.decision.rates import decide_count, decide_mean, stopped_count
from safemlrm.decision.ungateable import cannot_fail

__all__ = [
    "FEW",
    "Decision",
    "Measured",
    "cannot_fail",
    "decide_calibration",
    "decide_count",
    "decide_coupling",
    "decide_mean",
    "decide_paired",
    "decide_rise",
    "decide_share",
    "not_applicable",
    "stopped_count",
    "stopped_pairs",
]
