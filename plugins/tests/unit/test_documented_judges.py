"""docs/judges.md: its example is a configuration that loads."""

from __future__ import annotations

import re
from pathlib import Path

from safemlrm.config import load_config
from safemlrm.judging import judge_models

PAGE = Path(__file__).parents[3] / "docs/judges.md"


def test_the_example_loads(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "safety.toml").write_text(example, "utf-8")
    config = load_config(tmp_path / "safety.toml")
    assert judge_models(config) == ("big", "guard")
    assert {judge.kind for judge in config.judges.values()} == {"rubric", "guard", "rules", "jury"}
