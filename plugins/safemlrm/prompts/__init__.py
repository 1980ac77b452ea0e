"""Scenarios and their prompts: bundled or from the user's data, in seeded order, as configured."""

from safemlrm.prompts.bundled import bundled_prompts, bundled_scenarios
from safemlrm.prompts.order import seeded_order
from safemlrm.prompts.own import askable, checked
from safemlrm.prompts.scenario import (
    Description,
    Scenario,
    describe,
    load_scenario,
    load_scenarios,
)

__all__ = [
    "Description",
    "Scenario",
    "askable",
    "bundled_prompts",
    "bundled_scenarios",
    "checked",
    "describe",
    "load_scenario",
    "load_scenarios",
    "seeded_order",
]
