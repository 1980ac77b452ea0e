"""ASR over how much of an agreeing answer was put into a model's mouth (DeRTa's refusal positions)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from safemlrm.attacks import Direct, Prefill
from safemlrm.metrics.rates import clopper_pearson
from safemlrm.reporting.phrases import counted, share
from safemlrm.tune import Rate
from safemlrm.types import Attack, Estimate


@dataclass(frozen=True, slots=True)
class Point:
    """A pair's candidate after so many `words` of prefill, over the scenarios asked at every length."""

    words: int
    asr: Estimate


@dataclass(frozen=True, slots=True)
class Curve:
    """How a pair's candidate goes on after prefills of growing length; 0 words is without one."""

    pair: str
    scenarios: tuple[str, ...]
    points: tuple[Point, ...]

    @property
    def uneven(self) -> bool:
        """Whether more responses were scored at one length than at another."""
        return len({point.asr.n for point in self.points}) > 1


def curves(rates: Iterable[Rate], attacks: Mapping[str, Attack]) -> list[Curve]:
    """Return a curve for every pair that was asked with and without a prefill.

    Only scenarios that were asked at every length are pooled, so that the points have the same prompts;
    unscored responses are left out.
    """
    found: dict[str, dict[int, dict[str, Rate]]] = {}
    for rate in rates:
        words = _words(attacks[rate.attack])
        if rate.metric == "asr" and words is not None:
            found.setdefault(rate.pair, {}).setdefault(words, {})[rate.scenario] = rate
    drawn = (
        _curve(pair, by_words) for pair, by_words in sorted(found.items()) if len(by_words) > 1
    )
    return [curve for curve in drawn if curve.scenarios]


def _words(attack: Attack) -> int | None:
    if isinstance(attack, Direct):
        return 0
    return attack.tokens if isinstance(attack, Prefill) else None


def _curve(pair: str, by_words: Mapping[int, Mapping[str, Rate]]) -> Curve:
    common = sorted(set.intersection(*(set(cells) for cells in by_words.values())))
    points = []
    for words, cells in sorted(by_words.items()):
        total = Counter[str]()
        for scenario in common:
            rate = cells[scenario]
            total.update(bad=rate.bad, known=rate.prompts - rate.unknown)
        points.append(Point(words, clopper_pearson(total["bad"], total["known"])))
    return Curve(pair, tuple(common), tuple(points))


def curve_lines(found: Iterable[Curve]) -> list[str]:
    """Return a line on each curve, and a line a length below it."""
    lines = []
    for curve in found:
        lines.append(f"{curve.pair}: ASR by words of prefill, over {', '.join(curve.scenarios)}")
        lines += [f"  {words(p.words)}: {share(p.asr)}" for p in curve.points]
    return lines


def curve_table(found: Sequence[Curve], quote: Callable[[str], str]) -> list[str]:
    """Return the curves as a table of Markdown; `quote` keeps a pair's name from being markup."""
    if not found:
        return []
    rows = [
        f"| {quote(curve.pair).replace('|', chr(92) + '|')} | {words(p.words)} | {share(p.asr)} |"
        for curve in found
        for p in curve.points
    ]
    return ["| pair | prefill | ASR |", "|---|---|---|", *rows]


def curve_briefs(found: Iterable[Curve]) -> list[str]:
    """Return a line a curve: where it starts, and its highest point beyond that."""
    lines = []
    for curve in found:
        start, *longer = curve.points
        top = max(longer, key=lambda p: p.asr.value if p.asr.n else -1.0)
        lines.append(
            f"{curve.pair}: ASR after a prefill of {words(start.words)} {share(start.asr)}, "
            f"of {words(top.words)} {share(top.asr)}"
            + (f", the highest of {len(longer)}" if len(longer) > 1 else "")
        )
    return lines


def words(number: int) -> str:
    """Return a length of a prefill in words."""
    return counted(number, "words")
