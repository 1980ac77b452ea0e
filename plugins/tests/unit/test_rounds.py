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
