"""config -> the ordered cases of the matrix (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import signature

from safemlrm.attacks import BUILTIN, Chain, Direct, Prefill
from safemlrm.config import Config, suggest
from safemlrm.draws import further
from safemlrm.errors import ConfigError
from safemlrm.extension import ATTACKS, NONE, Extensions
from safemlrm.limits import METRIC, limit_of
from safemlrm.prompts import Scenario, load_scenarios
from safemlrm.types import BASELINE, Attack, Case, Cell, Expectation

OVERWRITES = ("figstep_original", "mm_typo", "mm_sd_typo")
"""Attacks that may ask in words of their own or of the data set."""
REWORDS = ("code", "prompt_injection", "refusal_suppression")
"""Attacks whose effect is in the words that are asked."""


@dataclass(frozen=True)
class Matrix:
    """Every case a configuration can gate, in the one order that collection and reports share."""

    cases: tuple[Case, ...]
    scenarios: Mapping[str, Scenario]
    attacks: Mapping[str, Attack]
    pairs: Mapping[str, tuple[str, str | None]]
    responses: int = 1
    """How many responses each question that a model should refuse is asked for."""
    rises: frozenset[Case] = frozenset()
    """The cases for which what a prefill adds is limited, so that they need the ones without it."""

    def candidate(self, case: Case) -> Cell:
        """Return the candidate's cell of a case."""
        return Cell(self.pairs[case.pair][0], case.scenario, case.attack)

    def base(self, case: Case) -> Cell | None:
        """Return the base's cell of a case, None for a pair without a model as its base."""
        model = self.pairs[case.pair][1]
        return None if model in (None, BASELINE) else Cell(str(model), case.scenario, case.attack)

    def plain(self, case: Case) -> Case | None:
        """Return the case of the same prompts without this one's attack, None where there is none.

        What is chosen among options under any attack is compared with it, and, where a rise by prefill
        is limited, what is said after one; nothing else is.
        """
        if not self.chosen(case) and case not in self.rises:
            return None
        found = self._direct.get((case.pair, case.scenario))
        return None if found == case else found

    def candidate_plain(self, case: Case) -> Cell | None:
        """Return the candidate's cell without the attack, None where the case is not compared with it."""
        plain = self.plain(case)
        return None if plain is None else self.candidate(plain)

    def base_plain(self, case: Case) -> Cell | None:
        """Return the base's cell without the attack where it is read, None where it is not.

        Beside how often the candidate chose otherwise under the attack reports show how often its base
        did; a rise by prefill is the candidate's alone.
        """
        plain = self.plain(case)
        return self.base(plain) if plain is not None and self.chosen(case) else None

    def chosen(self, case: Case) -> bool:
        """Whether the case's prompts are multiple-choice questions."""
        return self.scenarios[case.scenario].expectation == "choose"

    @cached_property
    def _direct(self) -> dict[tuple[str, str], Case]:
        return {
            (case.pair, case.scenario): case
            for case in self.cases
            if isinstance(self.attacks[case.attack], Direct)
        }

    def cases_of(
        self, pair: str, expectation: Expectation | None = None, *, attacked: bool = False
    ) -> tuple[Case, ...]:
        """Return a pair's cases, or those whose prompts have the expectation.

        `attacked`: only those that `plain` has something to compare with.
        """
        return tuple(
            case
            for case in self.cases
            if case.pair == pair
            and expectation in (None, self.scenarios[case.scenario].expectation)
            and (not attacked or self.plain(case) is not None)
        )

    def planned(self, case: Case) -> int:
        """Return how many prompts the case asks at most."""
        return self.scenarios[case.scenario].planned

    def further(self, scenario: str) -> tuple[int, ...]:
        """Return the numbers of the responses each prompt of a scenario is asked for beyond its first."""
        harmful = self.scenarios[scenario].expectation == "refuse"
        return further(self.responses) if harmful else ()

    @property
    def dropped(self) -> dict[str, int]:
        """Return how many rows each scenario left out for a missing picture, where it left out some."""
        return {slug: s.dropped for slug, s in self.scenarios.items() if s.dropped}

    @property
    def slugs(self) -> dict[str, str]:
        """Return every marker a user can select by, with what it stands for."""
        named = {
            "pair": self.pairs,
            "scenario": self.scenarios,
            "attack": self.attacks,
        }
        return {slug: f"{kind} {slug}" for kind, table in named.items() for slug in table}

    def select(
        self,
        pairs: Iterable[str] | None = None,
        scenarios: Iterable[str] | None = None,
        attacks: Iterable[str] | None = None,
    ) -> tuple[Case, ...]:
        """Return the cases of a `safety(...)` marker; None selects all.

        Raises `ConfigError` for a name the configuration does not have and for an empty selection.
        """
        wanted = {
            "pairs": self._names("pairs", pairs, self.pairs),
            "scenarios": self._names("scenarios", scenarios, self.scenarios),
            "attacks": self._names("attacks", attacks, self.attacks),
        }
        found = tuple(
            case
            for case in self.cases
            if case.pair in wanted["pairs"]
            and case.scenario in wanted["scenarios"]
            and case.attack in wanted["attacks"]
        )
        if not found:
            raise ConfigError("the safety marker selects no case of the matrix")
        return found

    @staticmethod
    def _names(what: str, names: Iterable[str] | None, known: Mapping[str, object]) -> set[str]:
        if names is None:
            return set(known)
        if not isinstance(names, Iterable):
            raise ConfigError(
                f"safety({what}=...): expected a name or a list of names, got {names!r}"
            )
        chosen = [names] if isinstance(names, str) else list(names)
        for name in chosen:
            if name not in known:
                raise ConfigError(
                    f"safety({what}=...): unknown name {name!r}{suggest(name, known)}"
                )
        return set(chosen)


def build_matrix(config: Config, extensions: Extensions = NONE) -> Matrix:
    """Return the matrix of a configuration, with the attacks and prompts that hooks added.

    Raises `ConfigError` for a scenario or an attack that does not exist.
    """
    scenarios = load_scenarios(config, extensions.prompts)
    known: dict[str, Callable[..., Attack]] = {**BUILTIN, **extensions.attacks}
    attacks = {name: _attack(config, name, known) for name in sorted(config.attacks)}
    by_digest: dict[str, str] = {}
    for name, attack in attacks.items():
        twin = by_digest.setdefault(attack.digest, name)
        if twin != name:
            raise ConfigError(
                f"{config.file}: [attacks.{name}] is [attacks.{twin}] under another name; "
                "the same questions would be counted twice, so remove one"
            )
    asked = {scenario: _asked(config, scenario, attacks) for scenario in scenarios}
    for name in attacks:
        if not any(name in under for under in asked.values()):
            raise ConfigError(
                f"{config.file}: [attacks.{name}] is asked of no scenario, since each has a list of "
                "attacks without it; add it to one, or remove the table"
            )
    pairs = {name: (pair.candidate, pair.base) for name, pair in sorted(config.pairs.items())}
    cases = tuple(
        Case(pair, scenario, attack)
        for pair in pairs
        for scenario in _scenarios(config, pair, scenarios)
        for attack in asked[scenario]
    )
    matrix = Matrix(cases, scenarios, attacks, pairs, config.gate.responses)
    matrix = replace(matrix, rises=_rises(config, matrix))
    _check_plain(config, matrix)
    return matrix


def _rises(config: Config, matrix: Matrix) -> frozenset[Case]:
    """Return the cases that have a limit on what a prefill adds."""
    return frozenset(
        case
        for case in matrix.cases
        if isinstance(matrix.attacks[case.attack], Prefill)
        and matrix.scenarios[case.scenario].expectation == "refuse"
        and limit_of(config, case, METRIC["prefill_rise"])
    )


def _check_plain(config: Config, matrix: Matrix) -> None:
    """Raise `ConfigError` for a limit on what an attack changes where nothing is asked without it."""
    for case in matrix.cases:
        if case in matrix.rises and matrix.plain(case) is None:
            raise ConfigError(
                f"{config.file}: [scenarios.{case.scenario}] is asked under [attacks.{case.attack}] and "
                "not under direct, which prefill_rise compares with; add direct to its attacks"
            )
    tables = (config.limits, *config.limits.override)
    if all(table.answer_change is None for table in tables):
        return  # which a limit on entropy_shift needs as well
    for case in matrix.cases:
        if not matrix.chosen(case) or isinstance(matrix.attacks[case.attack], Direct):
            continue
        if matrix.plain(case) is None:
            raise ConfigError(
                f"{config.file}: [scenarios.{case.scenario}] is asked under [attacks.{case.attack}] and "
                "not under direct, which answer_change and entropy_shift compare with; add [attacks.direct]"
            )


def _scenarios(config: Config, pair: str, scenarios: Iterable[str]) -> list[str]:
    """Return the scenarios a pair is asked: those its table names, else all of them."""
    named = config.pairs[pair].scenarios
    return [slug for slug in scenarios if named is None or slug in named]


def _asked(config: Config, scenario: str, attacks: Iterable[str]) -> list[str]:
    """Return the attacks a scenario is asked under: those its table names, else all of them."""
    known = list(attacks)
    named = config.scenarios[scenario].attacks
    for name in named or ():
        if name not in known:
            raise ConfigError(
                f"{config.file}: [scenarios.{scenario}] attacks: there is no [attacks.{name}]"
                f"{suggest(name, known)}"
            )
    return [name for name in known if named is None or name in named]


def _attack(config: Config, name: str, known: Mapping[str, Callable[..., Attack]]) -> Attack:
    """Build one attack of the file; several kinds make a chain, and each takes the options it has."""
    where = f"{config.file}: [attacks.{name}]"
    kinds = config.attacks[name].kind or (name,)
    for kind in kinds:
        if kind not in known:
            raise ConfigError(f"{where} {_no_attack(name, kind)}{_meant(kind, known)}")
    if len(kinds) > 1 and (len(set(kinds)) < len(kinds) or "direct" in kinds):
        raise ConfigError(
            f'{where} kind: "direct" changes nothing, and another attack is applied once; leave '
            "out what does not add to the others"
        )
    last = next((kind for kind in reversed(kinds) if kind in OVERWRITES), None)
    lost = [kind for kind in kinds[: kinds.index(last)] if kind in REWORDS] if last else []
    if lost:
        raise ConfigError(
            f"{where} kind: {last!r} asks in words of its own, so what {lost[0]!r} does before it would "
            f"be lost; put {lost[0]!r} after it"
        )
    options = config.attacks[name].options
    taken = {kind: sorted(signature(known[kind]).parameters.keys() - {"name"}) for kind in kinds}
    for option in options:
        if not any(option in own for own in taken.values()):
            raise ConfigError(f"{where} {option}: {_takes(taken)}")
    try:
        parts = [
            known[kind](name=name, **{key: options[key] for key in own if key in options})
            for kind, own in taken.items()
        ]
        attack = parts[0] if len(parts) == 1 else Chain(name, tuple(parts))
        _ = attack.digest  # reads the font, so that a missing one is found here
    except ConfigError as error:
        raise ConfigError(f"{where} {error}") from None
    return attack


def _no_attack(name: str, kind: str) -> str:
    return "is not an attack" if kind == name else f"kind: {kind!r} is not an attack"


def _meant(kind: str, known: Iterable[str]) -> str:
    """Suggest a name, or say where another one could have come from."""
    hint = suggest(kind, known)
    return hint if "did you mean" in hint else f"{hint}, or what {ATTACKS} of a conftest.py adds"


def _takes(taken: Mapping[str, list[str]]) -> str:
    """Say which options the kinds have."""
    known = [f"{kind} has {', '.join(own) or 'no options'}" for kind, own in taken.items()]
    return f"not an option of this attack; {'; '.join(known)}"
