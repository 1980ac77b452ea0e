"""Audit of a judge: labels by people beside its verdicts, what follows for a build and for its gate."""

from safemlrm.audit.draw import draw
from safemlrm.audit.estimates import Agreement, Audit, Build, Comparison, Standing, audit
from safemlrm.audit.files import audit_essentials, audit_text, judge_doubt
from safemlrm.audit.labels import Label, LabelFile, append_label, read_labels
from safemlrm.audit.pool import Judged, Labelled, match, pool_of, refuse_unknown, waiting
from safemlrm.audit.showing import shown, spelled, spelled_lines
from safemlrm.audit.table import audit_lines, comparison_line, kappa_text

__all__ = [
    "Agreement",
    "Audit",
    "Build",
    "Comparison",
    "Judged",
    "Label",
    "LabelFile",
    "Labelled",
    "Standing",
    "append_label",
    "audit",
    "audit_essentials",
    "audit_lines",
    "audit_text",
    "comparison_line",
    "draw",
    "judge_doubt",
    "kappa_text",
    "match",
    "pool_of",
    "read_labels",
    "refuse_unknown",
    "shown",
    "spelled",
    "spelled_lines",
    "waiting",
]
