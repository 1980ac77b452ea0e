"""What hooks return: usable objects come through, everything else is one clear line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pluggy
import pytest

from safemlrm import hookspecs
from safemlrm.config.schema import Scenario as ScenarioTable
from safemlrm.errors import ConfigError, SafemlrmError
from safemlrm.extension import Extensions, OwnAttack, gather
from safemlrm.prompts.rows import Asked
from safemlrm.prompts.sources import load
from safemlrm.types import Attack, Image, Prompt, Turn

SECRET = "marzipan"
HARMLESS = Prompt("open", "", (Turn("When do you open?"),), "", "help")


@dataclass(frozen=True)
class Shout:
    """An attack as a user would write it."""

    name: str = "shout"
    digest: str = "shout/1"

    def apply(self, prompt: Prompt, seed: int) -> Prompt:
        first, *rest = prompt.turns
        return replace(prompt, turns=(replace(first, text=first.text.upper()), *rest))


def manager(**plugins: dict[str, object]) -> pluggy.PluginManager:
    """Return a manager as pytest's: what is named pytest_... is a hook; a plugin is name -> returned."""

    class Manager(pluggy.PluginManager):
        def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
            return {} if name.startswith("pytest_") else None

        def parse_hookspec_opts(self, module_or_class: object, name: str) -> Any:
            return {} if name.startswith("pytest_") else None

    made = Manager("pytest")
    made.add_hookspecs(hookspecs)
    for name, returned in plugins.items():
        hooks = {
            f"pytest_safemlrm_{hook}": value if callable(value) else _giving(value)
            for hook, value in returned.items()
        }
        made.register(SimpleNamespace(**hooks), name)
    return made


def _giving(value: object) -> Callable[[], object]:
    return lambda: value


def gathered(**plugins: dict[str, object]) -> Extensions:
    return gather(manager(**plugins))


def refused(**plugins: dict[str, object]) -> str:
    with pytest.raises(ConfigError) as caught:
        gathered(**plugins)
    line = str(caught.value)
    assert "\n" not in line
    assert SECRET not in line
    return line


def test_nothing_is_added_by_nobody() -> None:
    assert gathered() == Extensions()


def test_what_several_give_comes_through() -> None:
    found = gathered(
        one={"attacks": {"shout": Shout()}, "prompts": {"desk": [HARMLESS]}},
        two={"attacks": {"cry": Shout()}},
    )
    assert set(found.attacks) == {"shout", "cry"}
    assert found.prompts == {"desk": (HARMLESS,)}
    attack: Attack = found.attacks["shout"]("loud")
    assert (attack.name, attack.digest) == ("loud", "own/shout/shout/1")
    assert attack.apply(HARMLESS, 0).turns == (Turn("WHEN DO YOU OPEN?"),)


def test_names_that_clash() -> None:
    line = refused(mine={"attacks": {"figstep": Shout()}})
    assert line == (
        "mine: pytest_safemlrm_attacks: pytest-safemlrm has 'figstep' already; choose another name"
    )
    line = refused(mine={"prompts": {"mossbench": [HARMLESS]}})
    assert "mine: pytest_safemlrm_prompts: pytest-safemlrm has 'mossbench' already" in line
    both = refused(one={"attacks": {"x": Shout()}}, two={"attacks": {"x": Shout()}})
    assert "one" in both
    assert "two" in both
    assert both.endswith("has 'x' already; choose another name")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (7, "mine: pytest_safemlrm_attacks returned int; expected a dict of name: object"),
        (None, "returned NoneType; expected a dict"),
        ({"No": Shout()}, "'No' is not a valid name; use a-z, 0-9 and _"),
        ({3: Shout()}, "int is not a valid name"),
        ({"x": Shout}, "'x' is the class Shout; give an object, as in Shout()"),
        ({"x": object()}, "'x' has no apply(prompt, seed); it returns the attacked prompt"),
        ({"x": SimpleNamespace(apply=len, digest="x/1")}, "apply does not take (prompt, seed)"),
        (
            {"x": SimpleNamespace(apply=lambda prompt, seed: prompt)},
            "'x' has no digest; give a text such as digest = \"x/1\"",
        ),
        ({"x": Shout(digest=" ")}, "'x' has no digest"),
    ],
)
def test_attacks_that_cannot_be_used(given: object, line: str) -> None:
    assert line in refused(mine={"attacks": given})


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("text", "'desk': expected a list of Prompt, got 'text'"),
        (SECRET * 3, "expected a list of Prompt, got str"),
        ({HARMLESS.id: HARMLESS}, "expected a list of Prompt, got dict"),
        ([], "there is no prompt in it"),
        ([SECRET * 3], "prompt 1 is str, not a Prompt"),
        ([HARMLESS, HARMLESS], "prompt 2 has the id of prompt 1; each needs its own"),
        ([replace(HARMLESS, id="")], "prompt 1 has no id"),
        ([replace(HARMLESS, turns=())], "prompt 1 has no turns to ask"),
        ([replace(HARMLESS, turns=(Turn(" "),))], "prompt 1 has a blank text"),
        ([replace(HARMLESS, turns=(Turn("\ud800"),))], "prompt 1 has no turns to ask"),
        (
            [HARMLESS, replace(HARMLESS, id="b", expectation="refuse")],
            "prompt 1 expects 'help', prompt 2 'refuse'; give the two kinds names of their own",
        ),
        ([{"id": "x"}], "prompt 1 is dict, not a Prompt"),
    ],
)
def test_prompts_that_cannot_be_used(given: object, line: str) -> None:
    found = refused(mine={"prompts": {"desk": given}})
    assert found.startswith("mine: pytest_safemlrm_prompts: 'desk': ")
    assert line in found


def test_prompts_of_odd_fields() -> None:
    odd: Any = "perhaps"
    line = refused(mine={"prompts": {"desk": [replace(HARMLESS, expectation=odd)]}})
    assert 'prompt 1 expects \'perhaps\'; write expectation = "refuse", "help" or "choose"' in line
    odd = "When do you open?"
    assert "has no turns to ask" in refused(
        mine={"prompts": {"desk": [replace(HARMLESS, turns=odd)]}}
    )


def test_a_hook_that_raises_or_is_misspelt() -> None:
    line = refused(mine={"attacks": lambda: {"x": 1 / 0}})
    assert line.startswith(
        "mine: pytest_safemlrm_attacks raised ZeroDivisionError (test_extension.py, line "
    )
    line = refused(mine={"attack": {}})
    assert line == (
        "mine: there is no hook pytest_safemlrm_attack; did you mean 'pytest_safemlrm_attacks'?"
    )


def applied(change: Callable[[Prompt], object]) -> str:
    inner: Any = SimpleNamespace(digest="x/1", apply=lambda prompt, seed: change(prompt))
    with pytest.raises(SafemlrmError) as caught:
        OwnAttack("mine", "x", "conftest.py", inner).apply(HARMLESS, 0)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_the_lineage_of_a_prompt_is_kept() -> None:
    other: dict[str, Any] = {
        "id": "b",
        "scenario": "fraud",
        "phrase": SECRET,
        "expectation": "refuse",
    }
    for name, value in other.items():
        line = applied(lambda p, change={name: value}: replace(p, **change))  # type: ignore[misc]
        assert line == (
            f"conftest.py: attack 'x', prompt open: apply changed its {name}; change turns and "
            "prefill alone, as in dataclasses.replace(prompt, turns=...)"
        )
    assert "apply returned NoneType, not a Prompt" in applied(lambda p: None)
    assert "apply left no turns to ask" in applied(lambda p: replace(p, turns=()))
    assert "apply raised KeyError (test_extension.py, line " in applied(
        lambda p: vars(SimpleNamespace())[SECRET]
    )


def ask(prompt: Prompt, slug: str = "counter", **keys: object) -> list[Prompt]:
    table = ScenarioTable(source="desk", **keys)
    return list(load(Asked(slug, table, Path()), {"desk": [prompt]}).prompts)


def test_prompts_take_the_slug_of_the_scenario_that_asks_them() -> None:
    for named in ("", "desk", "counter"):
        (prompt,) = ask(replace(HARMLESS, scenario=named))
        assert (prompt.id, prompt.scenario) == ("own.counter.open", "counter")
    (prompt,) = ask(replace(HARMLESS, id=f"../{SECRET}"))
    assert prompt.id.startswith("own.counter.")
    assert SECRET not in prompt.id
    with pytest.raises(ConfigError, match="prompt 1 is of another scenario; leave"):
        ask(replace(HARMLESS, scenario="fraud"))
    with pytest.raises(ConfigError, match='path does not belong to source = "desk"'):
        ask(HARMLESS, path="data")
    with pytest.raises(ConfigError, match="prompt 1: the picture does not open"):
        ask(replace(HARMLESS, turns=(Turn("What?", (Image(b"no"),)),)))


def test_a_defence_comes_through_as_its_place() -> None:
    assert gathered(house={"defences": {"quiet": "json:Quiet"}}).defences == {"quiet": "json:Quiet"}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"quiet": 3}, "'quiet' is int; give its place as a text"),
        ({"quiet": "nowhere:Quiet"}, "'quiet': defence: no module 'nowhere'"),
        ({"hazard": "json:Quiet"}, "pytest-safemlrm has 'hazard' already"),
        (["quiet"], "returned list; expected a dict"),
    ],
    ids=["object", "module", "builtin", "list"],
)
def test_what_cannot_be_the_place_of_a_defence_is_refused(given: object, line: str) -> None:
    said = refused(house={"defences": given})
    assert said.startswith("house: pytest_safemlrm_defences")
    assert line in said
