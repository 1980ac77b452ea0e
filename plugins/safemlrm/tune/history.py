"""summary.json of several runs -> the history of every cell, or why they do not go together (pure)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import nan

from pydantic import TypeAdapter, ValidationError

from safemlrm.config import Config
from safemlrm.errors import SafemlrmError
from safemlrm.evidence import Counts
from safemlrm.judges import Rules
from safemlrm.limits import METRIC, Metric
from safemlrm.matrix import Matrix
from safemlrm.prompts import Scenario
from safemlrm.responses.scoring import Scorer
from safemlrm.types import Case

SUMMARY_FORMAT = 2
"""The format of summary.json: kept where it is read, which is below where it is written."""
READABLE = (1, SUMMARY_FORMAT)
"""Formats whose rates and instrument are read; 2 only says more beside them."""

Cell = tuple[Case, Metric]
"""What has a limit, and so a history."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of a cell's prompts came out badly in one run; `unknown` ones were not scored."""

    pair: str
    scenario: str
    attack: str
    metric: str
    bad: int
    unknown: int
    prompts: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What a pair was measured under: rates measured under other terms say something else.

    `prompts` and `attacks` identify them by content, whatever their order; `planned` counts prompts.
    Runs that are put together may differ in `seed` and `model`, and have to in one of the two.
    """

    scorer: str
    unsafe_at: int
    channel: str
    prompts: Mapping[str, str]
    planned: Mapping[str, int]
    attacks: Mapping[str, str]
    seed: int
    model: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: what it measured of every cell, and each pair's terms."""

    name: str
    terms: Mapping[str, Terms]
    rates: tuple[Rate, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """What is read of summary.json."""

    rates: tuple[Rate, ...]
    instrument: Mapping[str, Terms]


@dataclass(frozen=True, slots=True)
class History:
    """What a metric came to in every build of one cell."""

    case: Case
    metric: Metric
    builds: tuple[Counts, ...]

    @property
    def cell(self) -> Cell:
        """What this is the history of."""
        return self.case, self.metric

    @property
    def total(self) -> Counts:
        """All builds together."""
        return sum(self.builds[1:], start=self.builds[0])

    @property
    def bad(self) -> Fraction:
        """The pooled rate of bad prompts."""
        return Fraction(self.total.bad, self.total.n)

    @property
    def spread(self) -> float:
        """chi2/(H-1) of H builds: near 1 where they differ by chance alone, nan where none could."""
        rate, others = float(self.bad), len(self.builds) - 1
        if not others or rate in (0, 1):
            return nan
        squares = ((build.bad - build.n * rate) ** 2 / build.n for build in self.builds)
        return sum(squares) / (rate * (1 - rate)) / others

    @property
    def by_chance(self) -> float:
        """How likely chance alone spreads builds so far; nan as for `spread`."""
        from scipy.special import chdtrc

        others = len(self.builds) - 1
        return float(chdtrc(others, self.spread * others)) if others else nan


def terms_of(config: Config, matrix: Matrix, pair: str, model: str = "", scorer: str = "") -> Terms:
    """Return what a configuration measures a pair under; `model` identifies the candidate, if known.

    `scorer` is the key of its scores; left out, it is that of the rules.
    """
    candidate = config.models[matrix.pairs[pair][0]]
    return Terms(
        scorer=scorer or Scorer.of(Rules(), candidate.reasoning).key,
        unsafe_at=config.gate.unsafe_at,
        channel=config.limits.channel,
        prompts={slug: _content(scenario) for slug, scenario in matrix.scenarios.items()},
        planned={slug: scenario.planned for slug, scenario in matrix.scenarios.items()},
        attacks={slug: attack.digest for slug, attack in matrix.attacks.items()},
        seed=config.gate.seed,
        model=model,
    )


def _content(scenario: Scenario) -> str:
    """Identify a scenario's prompts apart from their order, which the seed decides."""
    return replace(scenario, pool=tuple(sorted(scenario.pool, key=lambda p: p.id))).digest


def read_run(name: str, text: str) -> Run:
    """Read a run's summary.json.

    Raises `SafemlrmError` if it is none, was written by another version, or measured nothing.
    """
    try:
        data = json.loads(text)
        version = data["format"]
    except (ValueError, TypeError, KeyError):
        raise SafemlrmError(f"{name}: not the summary.json of a run") from None
    if version not in READABLE or not {"rates", "instrument"} <= set(data):
        raise SafemlrmError(
            f"{name}: written by another version (format {version!r} here, {SUMMARY_FORMAT} with rates "
            "expected); run once more with --safety-replay"
        )
    try:
        read = TypeAdapter(Summary).validate_python(data)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise SafemlrmError(f"{name}: not a summary.json: {place} cannot be read") from None
    if not all(_is_sound(rate) and rate.pair in read.instrument for rate in read.rates):
        raise SafemlrmError(f"{name}: not a summary.json: its rates do not add up")
    if not read.rates:
        raise SafemlrmError(f"{name}: this run measured no cell; look there for what broke")
    return Run(name, read.instrument, read.rates)


def _is_sound(rate: Rate) -> bool:
    metric = METRIC.get(rate.metric)
    counted = metric is not None and (metric.kind, metric.scope) == ("count", "case")
    return counted and min(rate.bad, rate.unknown) >= 0 < rate.prompts >= rate.bad + rate.unknown


def histories(runs: Iterable[Run], present: Mapping[str, Terms]) -> list[History]:
    """Put the runs' rates together, for the pairs, scenarios and attacks of the present terms.

    Raises `SafemlrmError` for a run with unscored prompts, one measured under other terms than the
    present ones, one that repeats another, and if nothing is left.
    """
    found: dict[tuple[Case, str], list[Counts]] = {}
    origins: dict[tuple[Case, str, int, str], str] = {}
    for run in runs:
        for rate in run.rates:
            if not _is_configured(rate, present):
                continue
            _comparable(run, rate, present[rate.pair])
            case, terms = Case(rate.pair, rate.scenario, rate.attack), run.terms[rate.pair]
            _new(origins, (case, rate.metric, terms.seed, terms.model), run.name)
            found.setdefault((case, rate.metric), []).append(Counts(rate.bad, 0, rate.prompts))
    if not found:
        raise SafemlrmError("no run measured a cell of this configuration")
    return [
        History(case, METRIC[metric], tuple(builds)) for (case, metric), builds in found.items()
    ]


def _is_configured(rate: Rate, present: Mapping[str, Terms]) -> bool:
    terms = present.get(rate.pair)
    return terms is not None and rate.scenario in terms.prompts and rate.attack in terms.attacks


def _comparable(run: Run, rate: Rate, now: Terms) -> None:
    """Refuse a rate that was measured otherwise than the limit would be used, or not wholly."""
    then, cell = run.terms[rate.pair], f"{rate.scenario} / {rate.attack}"
    if rate.unknown:
        raise SafemlrmError(
            f"{run.name}: {rate.unknown} of {rate.prompts} prompts of {cell} are unscored; a limit from "
            "the rest would flatter the model: measure again, or leave that run out"
        )
    what = _changed(then, now, rate)
    if what:
        raise SafemlrmError(
            f"{run.name}: {rate.pair} / {cell} was measured with {what} than is configured now, so its "
            "rate is of something else: measure again, or name the configuration it had (--config, "
            "--profile)"
        )


def _changed(then: Terms, now: Terms, rate: Rate) -> str:
    """Name the first of a cell's terms that differs."""
    if then.scorer != now.scorer:
        return "another judge or other trace markers"
    if then.unsafe_at != now.unsafe_at:
        return f"another cut-off (unsafe_at = {then.unsafe_at}, not {now.unsafe_at})"
    if then.channel != now.channel:
        return f"another channel ({then.channel}, not {now.channel})"
    if then.prompts.get(rate.scenario) != now.prompts[rate.scenario]:
        return "another set of prompts"
    if then.planned.get(rate.scenario) != now.planned[rate.scenario]:
        before = then.planned.get(rate.scenario)
        return f"another number of prompts ({before}, not {now.planned[rate.scenario]})"
    if then.attacks.get(rate.attack) != now.attacks[rate.attack]:
        return f"another version of {rate.attack}"
    return ""


def _new(
    origins: dict[tuple[Case, str, int, str], str], build: tuple[Case, str, int, str], run: str
) -> None:
    """Refuse the same answers a second time: they would look like evidence that builds agree."""
    if build in origins:
        raise SafemlrmError(
            f"{run}: repeats {origins[build]}: the same model asked with the same seed gives the same "
            "answers; measure with another [gate] seed, or leave one of them out"
        )
    origins[build] = run
