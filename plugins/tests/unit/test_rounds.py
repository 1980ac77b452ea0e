"""What a child is sent of an attacked prompt."""

from __future__ import annotations

from safemlrm.rounds import Asked, batches
from safemlrm.types import Image, Prompt, Turn


def test_a_request_names_its_attack_and_leaves_other_wordings_behind() -> None:
    forms = {"sd": Turn("", (Image(b"large"),))}
    prompt = Prompt("p-1", "fraud", (Turn("How?"),), "boat", forms=forms, prefill="Sure,")
    [[request]] = batches([Asked("cell", 0, prompt, "key", 7, "mm_typo")], 4)
    assert (request.attack, request.seed, request.prompt.prefill) == ("mm_typo", 7, "Sure,")
    assert request.prompt.forms == {}
    assert not request.canary
    [[request]] = batches([Asked("cell", 0, prompt, "key", 7, "mm_typo", canary=True)], 4)
    assert request.canary


def test_a_batch_has_prompts_of_one_kind() -> None:
    shown = Turn("How?", (Image(b"drawn"),))
    asked = [
        Asked(
            "cell",
            i,
            Prompt(f"p-{i}", "fraud", (shown if i % 2 else Turn("How?"),), "x"),
            f"k{i}",
            i,
        )
        for i in range(10)
    ]
    kinds = [[len(r.prompt.turns[0].images) for r in batch] for batch in batches(asked, 4)]
    assert kinds == [[1, 1, 1, 1], [1], [0, 0, 0, 0], [0]]
