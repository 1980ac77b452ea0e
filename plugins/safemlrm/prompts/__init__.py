"""Scenarios and their prompts: the bundled catalogue, the seeded order, what a configuration asks."""

from safemlrm.prompts.bundled import bundled_prompts, bundled_scenarios
from safemlrm.prompts.order import seeded_order
from safemlrm.prompts.scenario import Scenario, load_scenario, load_scenarios

__all__ = [
    "Scenario",
    "bundled_prompts",
    "bundled_scenarios",
    "load_scenario",
    "load_scenarios",
    "seeded_order",
]
