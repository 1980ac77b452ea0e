"""What the verdicts rest on, in lines: the judge, its canaries, and which of its paths decided how often."""

from __future__ import annotations

from safemlrm.reporting.outcome import Outcome, judged_by

MOST = 6
"""Paths that are named for a model; the rest is in summary.json."""


def contract_lines(outcome: Outcome) -> list[str]:
    """Return a line for the judge and one for each model; empty where nothing was judged."""
    contract, paths = outcome.contract, judged_by(outcome.worst_first)
    if contract is None or not paths:
        return []
    lines = [f"judge {contract.judge} ({contract.kind}): {contract.digest}"]
    if contract.right is not None:
        lines[0] += f", rules as a person on {contract.right} of {contract.canaries} canaries"
    for model, counts in paths.items():
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        shown = ", ".join(f"{number} {path or 'unscored'}" for path, number in ranked[:MOST])
        more = f" and {len(ranked) - MOST} more ways" if len(ranked) > MOST else ""
        lines.append(f"  {model}: {sum(counts.values())} responses, decided by {shown}{more}")
    return lines
