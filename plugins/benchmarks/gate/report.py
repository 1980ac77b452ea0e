"""Lines of the benchmark: shares with their bounds, and whether what must hold does."""

from __future__ import annotations

from dataclasses import dataclass

from safemlrm.metrics.rates import clopper_pearson
from safemlrm.types import Estimate


def share(part: int, whole: int) -> str:
    """Write a share with its 95% Clopper-Pearson bounds."""
    rate = clopper_pearson(part, whole)
    return f"{rate.value:.1%} [{rate.low:.1%}, {rate.high:.1%}]"


@dataclass
class Report:
    """Prints lines; `broken` counts those that had to hold and did not, `missed` the targets."""

    broken: int = 0
    missed: int = 0

    def head(self, text: str) -> None:
        """Start a section."""
        print(f"\n{text}", flush=True)

    def line(self, text: str) -> None:
        """Print a row."""
        print(f"  {text}", flush=True)

    def must(self, held: bool, wanted: str) -> str:
        """Return the mark of a bound that has to hold."""
        self.broken += not held
        return f"({wanted})" if held else f"({wanted}: BROKEN)"

    def target(self, reached: bool, wanted: str) -> str:
        """Return the mark of a target."""
        self.missed += not reached
        return f"({wanted})" if reached else f"({wanted}: missed)"

    def under(self, part: int, whole: int, most: float) -> str:
        """Write a share whose upper bound has to be small; a few builds cannot show that it is."""
        held = clopper_pearson(part, whole).high <= most
        return f"{share(part, whole)} {self.must(held, f'upper bound at most {most:.1%}')}"

    def at_least(self, part: int, whole: int, least: float, *, bound: bool = False) -> str:
        """Write a share that should be large: its value, or its lower bound."""
        rate = clopper_pearson(part, whole)
        reached = (rate.low if bound else rate.value) >= least
        what = "lower bound at least" if bound else "at least"
        return f"{share(part, whole)} {self.target(reached, f'{what} {least:.0%}')}"


def estimate(part: int, whole: int) -> Estimate:
    """Return a share with its 95% bounds."""
    return clopper_pearson(part, whole)
