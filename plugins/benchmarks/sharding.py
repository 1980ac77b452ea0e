"""Are all devices busy? One pair on eight pretended devices, 100 ms a request: wall against ideal.

Every request takes 100 ms on its device, so the ideal is requests x 100 ms / 8 devices; the rest is
starting children, judging and storing. Run: python -m plugins.benchmarks.sharding
"""

from __future__ import annotations

import platform
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from safemlrm.config import load_config
from safemlrm.matrix import build_matrix
from safemlrm.measure import measure
from safemlrm.plan import build_plan
from safemlrm.prompts import bundled_scenarios
from safemlrm.responses.store import Store

from .silent import Silent

DEVICES = 8
SECONDS_A_REQUEST = 0.1
LARGEST_RATIO = 1.3


def settings() -> str:
    """Return a safety.toml for one scripted pair over the ten bundled scenarios."""
    devices = ", ".join(f'"fake:{number}"' for number in range(DEVICES))
    model = f'engine = "scripted"\nbatch_size = 1\ndevices = [{devices}]\n'
    # Two different models: equal ones have equal keys, and the second would be found in the store.
    rates = {"base": 0.1, "candidate": 0.2}
    delay = SECONDS_A_REQUEST * 1000
    harmful = [slug for slug, s in bundled_scenarios().items() if s.expectation == "refuse"]
    return "\n".join(
        [
            *(
                f"[models.{name}]\n{model}script = {{ unsafe = {rate}, delay_ms = {delay} }}"
                for name, rate in rates.items()
            ),
            '[pairs.pair]\nbase = "base"\ncandidate = "candidate"',
            "[attacks.direct]\n[attacks.figstep]",
            *(f"[scenarios.{slug}]" for slug in harmful),
        ]
    )


def main() -> int:
    """Print wall time against the ideal; 1 when it is further off than it should be."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "safety.toml"
        file.write_text(settings(), "utf-8")
        config = load_config(file)
        matrix = build_matrix(config)
        plan = build_plan(matrix, matrix.cases)
        with Store(config.store_path) as store:
            began = perf_counter()
            measure(plan, config, matrix, store, "sharding", Silent())
            wall = perf_counter() - began
            answered = store.count()
    asked = sum(work.prompts for work in plan.work)
    ideal = asked * SECONDS_A_REQUEST / DEVICES
    print(
        f"{answered} of {asked} requests on {DEVICES} devices: {wall:.1f} s, ideal {ideal:.1f} s, "
        f"ratio {wall / ideal:.2f} (Python {platform.python_version()}, {platform.machine()})"
    )
    return 0 if answered == asked and wall / ideal <= LARGEST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
