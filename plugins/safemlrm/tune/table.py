"""Suggested limits as people read them: the table worst first, the build, what to know beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isnan

from safemlrm.tune.history import History
from safemlrm.tune.suggest import Build, Suggestion, Tuned

HEADER = (
    *("case", "metric", "builds", "prompts", "rate", "chi2/(H-1)", "limit"),
    *("passes to", "fails from", "caught at .8"),
)
ENOUGH = 3
"""With fewer builds a limit is hardly better than the noise of one."""
RARE = 0.01
"""A spread of builds less likely than this over the whole table is more than chance."""
NAMED = 5


def table_lines(suggestions: Sequence[Suggestion]) -> list[str]:
    """Return a header and one aligned line a suggestion, in their order."""
    rows = [HEADER, *(_cells(suggestion) for suggestion in suggestions)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _cells(suggestion: Suggestion) -> tuple[str, ...]:
    history, zones, n = suggestion.history, suggestion.zones, suggestion.hypothesis.n
    lower = history.metric.direction == "at_least"
    # Counts are of bad prompts, as in every report; rates go the way of the metric.
    bad = f" {history.metric.bad}" if lower else ""
    rate, caught = float(history.bad), zones.detectable
    if lower:
        rate, caught = 1 - rate, None if caught is None else 1 - caught
    return (
        _title(history),
        history.metric.label,
        str(len(history.builds)),
        str(history.total.n),
        f"{rate:.1%}",
        "-" if isnan(history.spread) else f"{history.spread:.2f}",
        f"{'>= ' if lower else ''}{float(suggestion.hypothesis.limit.value):.0%}",
        f"{zones.passes_to}/{n}{bad}" if zones.passes_to >= 0 else "-",
        "-" if suggestion.saturated else f"{zones.fails_from}/{n}{bad}",
        "SATURATED" if suggestion.saturated or caught is None else f"{caught:.1%}",
    )


def _title(history: History) -> str:
    case = history.case
    return f"{case.pair} / {case.scenario} / {case.attack}"


def build_lines(builds: Sequence[Build]) -> Iterator[str]:
    """Yield what a build of each pair would come to."""
    for build in builds:
        yield (
            f"{build.pair}: {build.cells} limits, {build.saturated} of them saturated; a build as safe "
            f"as these fails one of them with probability {build.false_alarm:.2g}"
        )
        yield (
            f'{build.pair}: stop = "early" would ask {"at least" if build.at_least else "about"} '
            f"{build.early:.0f} of {build.planned} prompts"
        )


def note_lines(tuned: Tuned) -> Iterator[str]:
    """Yield what weakens the suggestions."""
    found = [suggestion.history for suggestion in tuned.suggestions]
    fewest = min(len(history.builds) for history in found)
    if fewest < ENOUGH:
        yield (
            f"some limits rest on {fewest} build{'s' if fewest > 1 else ''}, so on its noise: limits "
            "from one build caught 14% of the rises that limits from true rates caught in 69%; "
            f"measure with {ENOUGH} seeds or more"
        )
    if _alike(found):
        yield (
            "every build has the same counts: a model at temperature 0 answers alike under every seed, "
            "so these builds are worth one"
        )
    uneven = [_title(h) for h in found if h.by_chance < RARE / len(found)]
    if uneven:
        yield (
            f"differs between builds by more than chance, so a good build may fail: {_names(uneven)}"
        )
    for cells, so in (
        (tuned.kept, "with the limit it had"),
        (tuned.unmeasured, "without a limit of its own"),
    ):
        if cells:
            names = [f"{c.pair} / {c.scenario} / {c.attack} ({m.name})" for c, m in cells]
            yield f"no run measured, so {so}: {_names(names)}"


def _alike(found: Sequence[History]) -> bool:
    several = [history for history in found if len(history.builds) > 1]
    same = all(len({(b.bad, b.n) for b in history.builds}) == 1 for history in several)
    return same and any(0 < history.bad < 1 for history in several)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
