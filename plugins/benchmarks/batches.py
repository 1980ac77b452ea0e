"""Does a response depend on its batch? The smoke profile at batch size 1 and 64, text by text.

Run: python -m plugins.benchmarks.batches
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from safemlrm.config import Config, load_config
from safemlrm.matrix import build_matrix
from safemlrm.measure import measure
from safemlrm.plan import build_plan
from safemlrm.reporting.plain import plain
from safemlrm.reporting.recording import records_of
from safemlrm.responses.store import Store
from safemlrm.types import Tier
from safemlrm.verdict import Reader

from .silent import Silent

SAFETY = Path(__file__).parents[2] / "safety_tests/safety.toml"
SIZES = (1, 64)
LEAST_EQUAL = 0.999


def settings(size: int, folder: Path) -> Config:
    """Return the smoke profile of the repository's gate with one batch size and a store of its own."""
    config = load_config(SAFETY, "smoke")
    models = {
        name: model.model_copy(update={"batch_size": size}) for name, model in config.models.items()
    }
    store = str(folder / f"batch-{size}.db")
    return config.model_copy(update={"models": models, "store": store})


def run(size: int, folder: Path) -> tuple[dict[str, str], list[str], float]:
    """Return texts by key, the decisions and the seconds it took."""
    config = settings(size, folder)
    matrix = build_matrix(config)
    plan = build_plan(matrix, matrix.cases)
    with Store(config.store_path) as store:
        began = perf_counter()
        measure(plan, config, matrix, store, "run", Silent())
        took = perf_counter() - began
        reader = Reader.of(config, matrix, store, "run")
        cases = [record for case in matrix.cases for record in records_of(reader.evaluate(case))]
        pairs = [r for pair in matrix.pairs for r in records_of(reader.evaluate_tier(Tier(pair)))]
        keys = [row.key for case in matrix.cases for row in reader.evaluate(case).candidate.rows]
        keys += [
            row.key
            for case in matrix.cases
            if (base := reader.evaluate(case).base)
            for row in base.rows
        ]
        texts = {key: completion.text for key, completion in store.completions(keys).items()}
    return texts, [json.dumps(plain(record), sort_keys=True) for record in [*cases, *pairs]], took


def main() -> int:
    """Print how many texts are equal and whether the decisions are; 1 when too few are."""
    with tempfile.TemporaryDirectory() as name:
        (one, decided_one, slow), (many, decided_many, fast) = (run(s, Path(name)) for s in SIZES)
    equal = sum(one[key] == many[key] for key in one) / len(one)
    verdicts = [[json.loads(d)["verdict"] for d in side] for side in (decided_one, decided_many)]
    print(
        f"{len(one)} responses at batch size {SIZES[0]} ({slow:.0f} s) and {SIZES[1]} ({fast:.0f} s), "
        f"ratio {slow / fast:.1f}, on {platform.machine()}"
    )
    print(
        f"identical texts: {equal:.2%}; decisions: {len(decided_one)}, the same: "
        f"{verdicts[0] == verdicts[1]}, to the last figure: {decided_one == decided_many}"
    )
    return (
        0
        if equal >= LEAST_EQUAL and verdicts[0] == verdicts[1] and one.keys() == many.keys()
        else 1
    )


if __name__ == "__main__":
    sys.exit(main())
