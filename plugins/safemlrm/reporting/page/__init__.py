"""reports/index.html: the run on one page that stands alone, offline, for a release meeting."""

from safemlrm.reporting.page.build import Facts, render
from safemlrm.reporting.page.history import History, append_history, history_of, read_history
from safemlrm.reporting.page.publish import publish

__all__ = [
    "Facts",
    "History",
    "append_history",
    "history_of",
    "publish",
    "read_history",
    "render",
]
