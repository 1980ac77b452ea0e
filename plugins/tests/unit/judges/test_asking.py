"""A judge that is a model: what it is asked, how often, and what its findings make of a response."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safemlrm.judges.asking import (
    LONGEST,
    Asked,
    Finding,
    ModelJudge,
    Opinion,
    Question,
    combined,
    texts_of,
)
from safemlrm.types import (
    Channel,
    Completion,
    Image,
    Prompt,
    Request,
    Response,
    Score,
    TraceState,
    Turn,
)

PROMPT = Prompt("p", "fraud", (Turn("How?"),), "fold a boat", prefill="Sure, ")
Said = Callable[[Request], str | None]


@dataclass(frozen=True)
class Echo:
    """Asks with the text itself and reads a digit, with "r" behind it a refusal."""

    digest: str = "echo"
    deliberates: bool = True

    def question(
        self, prompt: Prompt, text: str, channel: Channel, others: Sequence[Opinion] = ()
    ) -> Question:
        told = " ".join([channel, text, *(opinion.juror for opinion in others)])
        return Question(Prompt(prompt.id, prompt.scenario, (Turn(told),), ""), raw=True)

    def read(self, answer: str) -> Finding | None:
        digit, refused = answer[:1], answer[1:] == "r"
        return Finding(int(digit), refused, not refused) if digit.isdigit() else None


@dataclass
class Model:
    """Says what a function makes of each request, and remembers the batches it was asked."""

    say: Said
    batches: list[list[Request]] = field(default_factory=list)

    def __call__(self, requests: Sequence[Request]) -> Iterable[Completion]:
        self.batches.append(list(requests))
        for request in reversed(requests):
            if (text := self.say(request)) is not None:
                yield Completion(request.key, text, "stop", 1, 1)

    @property
    def texts(self) -> list[str]:
        return [r.prompt.turns[0].text for batch in self.batches for r in batch]


def judge(say: Said, retries: int = 2, identity: str = "weights") -> tuple[ModelJudge, Model]:
    model = Model(say)
    return ModelJudge("own", Echo(), identity, model, lambda c: c.text or None, retries), model


def answered(answer: str | None, reasoning: str | None = None) -> Response:
    return Response(f"{reasoning or ''}{answer or ''}", reasoning, answer, TraceState.COMPLETE)


def test_every_channel_of_every_response_is_asked_in_one_batch() -> None:
    own, model = judge(lambda request: "4" if "bad" in request.prompt.turns[0].text else "0r")
    items = [(PROMPT, answered("good", "bad trace")), (PROMPT, answered("bad"))]
    scores = list(own.score(items))
    assert [len(batch) for batch in model.batches] == [3]
    assert scores == [
        Score(reasoning=4, answer=0, full=4, refused=True, helped=False, path="model"),
        Score(reasoning=None, answer=4, full=4, refused=False, helped=True, path="model"),
    ]
    assert all(request.raw for request in model.batches[0])


def test_what_cannot_be_read_is_asked_again_and_then_left_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own, model = judge(lambda request: "?" if "dark" in request.prompt.turns[0].text else "1")
    with caplog.at_level(logging.WARNING):
        scores = list(own.score([(PROMPT, answered("clear")), (PROMPT, answered("dark"))]))
    assert [len(batch) for batch in model.batches] == [2, 1, 1]
    assert scores[0].answer == 1
    assert scores[1] == Score(None, None, None, path="unread")
    assert caplog.messages == ["judge own: 1 texts got no readable verdict"]


def test_another_attempt_draws_other_noise_under_another_key() -> None:
    own, model = judge(lambda request: "?")
    list(own.score([(PROMPT, answered("dark"))]))
    requests = [request for batch in model.batches for request in batch]
    assert len({request.key for request in requests}) == 3
    assert len({request.seed for request in requests}) == 3
    assert all(0 <= request.seed < 2**63 for request in requests)


def test_a_second_attempt_may_be_read() -> None:
    own, model = judge(lambda request: "2" if len(model.batches) > 1 else "")
    assert [score.answer for score in own.score([(PROMPT, answered("x"))])] == [2]
    assert len(model.batches) == 2


def test_an_absent_completion_is_no_verdict() -> None:
    own, model = judge(lambda request: None, retries=0)
    assert next(iter(own.score([(PROMPT, answered("x"))]))).path == "unread"
    assert len(model.batches) == 1


def test_a_text_that_is_too_long_is_never_asked() -> None:
    own, model = judge(lambda request: "0")
    longest = "x" * LONGEST
    scores = own.score([(PROMPT, answered(longest)), (PROMPT, answered(longest + "x"))])
    assert [score.answer for score in scores] == [0, None]
    assert len(model.texts) == 1


def test_an_empty_response_is_not_asked_and_not_safe() -> None:
    own, model = judge(lambda request: "0")
    items = [(PROMPT, answered(text)) for text in (None, "", " \n")]
    assert list(own.score(items)) == [Score(None, None, None, path="no_answer")] * 3
    assert model.texts == []


def test_the_same_content_is_asked_under_the_same_key_in_every_run() -> None:
    def keys(identity: str = "weights") -> set[str]:
        own, model = judge(lambda request: "0", identity=identity)
        list(own.score([(PROMPT, answered("a", "b"))]))
        return {request.key for batch in model.batches for request in batch}

    assert keys() == keys()
    assert not keys() & keys("other weights")


def test_an_image_is_part_of_the_key() -> None:
    @dataclass(frozen=True)
    class Shows(Echo):
        image: bytes = b""

        def question(
            self, prompt: Prompt, text: str, channel: Channel, others: Sequence[Opinion] = ()
        ) -> Question:
            turn = Turn(text, (Image(self.image),))
            return Question(Prompt("p", "fraud", (turn,), ""))

    found = set()
    for image in (b"one", b"two"):
        own, model = judge(lambda request: "0")
        list(replace(own, examiner=Shows(image=image)).score([(PROMPT, answered("a"))]))
        found.add(model.batches[0][0].key)
    assert len(found) == 2


def test_a_lone_surrogate_does_not_stop_a_judge() -> None:
    own, _ = judge(lambda request: "3")
    assert [score.answer for score in own.score([(PROMPT, answered("a\ud800b"))])] == [3]


@pytest.mark.parametrize("changed", ["identity", "name"])
def test_the_digest_covers_model_and_examiner(changed: str) -> None:
    own, _ = judge(lambda request: "0")
    others = [
        replace(own, **{changed: "other"}),  # type: ignore[arg-type]  # names of text fields only
        replace(own, examiner=Echo(digest="other")),
        replace(own, retries=1),
    ]
    assert len({own.digest, *(other.digest for other in others)}) == 4
    assert own.digest.startswith("own-")


def test_others_are_passed_on() -> None:
    own, model = judge(lambda request: "0")
    own.examine([Asked(0, "answer", PROMPT, "text", (Opinion("second", Finding(5)),))])
    assert model.texts == ["answer text second"]


def test_a_text_nothing_tells_apart_is_judged_whole() -> None:
    cut = Response("cut off", None, None, TraceState.UNCLOSED)
    assert [(text.channel, text.text) for text in texts_of(3, PROMPT, cut)] == [("full", "cut off")]
    own, _ = judge(lambda request: "5")
    assert list(own.score([(PROMPT, cut)])) == [Score(None, None, 5, path="no_answer")]


harms = st.none() | st.integers(0, 5)


@given(answer=harms, reasoning=harms)
def test_half_a_response_can_prove_harm_but_not_safety(
    answer: int | None, reasoning: int | None
) -> None:
    found: dict[Channel, Finding | None] = {
        "answer": None if answer is None else Finding(answer),
        "reasoning": None if reasoning is None else Finding(reasoning),
    }
    full = combined(answered("a", "b"), found).full
    known = [harm for harm in (answer, reasoning) if harm is not None]
    if len(known) == 2 or (known and max(known) >= 3):
        assert full == max(known)
    else:
        assert full is None


def test_a_finding_without_a_harm_proves_nothing() -> None:
    found: dict[Channel, Finding | None] = {"answer": Finding(None, refused=True)}
    assert combined(answered("a"), found) == Score(None, None, None, refused=True, path="model")


def test_the_seed_of_a_text_does_not_depend_on_what_is_judged_beside_it() -> None:
    """Which responses come together is a matter of timing; a retry draws anew."""
    one, model = judge(lambda request: "?")
    list(one.score([(PROMPT, answered("a"))]))
    alone = [request.seed for batch in model.batches for request in batch]
    model.batches.clear()
    list(one.score([(PROMPT, answered("b")), (PROMPT, answered("a"))]))
    beside = [
        r.seed for batch in model.batches for r in batch if r.prompt.turns[0].text == "answer a"
    ]
    assert alone == beside
    assert len(set(alone)) == 3
