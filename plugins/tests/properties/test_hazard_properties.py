"""The hazard defence on any weights and scores: it lowers, it leaves out, and it looks at one row alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch: Any = pytest.importorskip("torch")
VOCABULARY, WIDTH, INNER = 11, 6, 4


def defence(folder: Path, seed: int, **options: Any) -> Any:
    """Make a defence with random weights for a network that is nothing but a head."""
    from safetensors.torch import save_file

    from safemlrm.engines.hazard import Hazard

    draw = torch.Generator().manual_seed(seed)
    shapes = {"state": (WIDTH, INNER), "token": (WIDTH, INNER), "bias": INNER, "out": INNER}
    parts = {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}
    save_file({**parts, "offset": torch.zeros(1)}, folder / "hazard.safetensors")
    table = torch.randn(VOCABULARY, WIDTH, generator=draw)
    head = SimpleNamespace(weight=table)
    return Hazard(SimpleNamespace(get_output_embeddings=lambda: head), None, folder, **options)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    rows=st.integers(1, 5),
    left=st.integers(1, VOCABULARY),
    candidates=st.integers(1, 2 * VOCABULARY),
    strength=st.floats(0, 30),
)
def test_it_lowers_what_is_left_of_the_likeliest_and_each_row_alone(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    rows: int,
    left: int,
    candidates: int,
    strength: float,
) -> None:
    folder = tmp_path_factory.mktemp("hazard")
    made = defence(folder, seed, candidates=candidates, strength=strength)
    draw = torch.Generator().manual_seed(seed + 1)
    scores = torch.randn(rows, VOCABULARY, generator=draw) * 5
    scores[:, left:] = -torch.inf  # what decoding has left out
    hidden = torch.randn(rows, WIDTH, generator=draw)
    ids = torch.zeros(rows, 3, dtype=torch.long)

    given = made.rescore(scores, hidden, ids)

    kept = given > -torch.inf
    assert (kept.sum(-1) == min(left, candidates)).all()
    assert (given <= scores).all()
    lowered = (scores - given)[kept]
    assert (lowered <= strength + 1e-4).all()
    for row in range(rows):
        alone = made.rescore(scores[row : row + 1], hidden[row : row + 1], ids[:1])
        torch.testing.assert_close(alone[0], given[row], rtol=0, atol=1e-4)
    if strength == 0:
        assert (given[kept] == scores[kept]).all()
