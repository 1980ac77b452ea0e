"""Guard models as judges: each family gets question and response in its own form.

Llama Guard 3 and 4 and Qwen3Guard carry their policy in their chat template, so their question is a
conversation of two turns: all turns of the prompt as the user's, the judged channel as the
assistant's (for a trace that is the trace alone). The others read one raw prompt: WildGuard and the
HarmBench classifier have no chat template for it, and ShieldGemma's takes its guideline as an argument
that engines do not pass, so that it would judge by nothing. A `template` file may replace any
family's chat template. Decided:

* A guard that takes pictures (Llama Guard 4, by its chat template) gets them. For others the user's
  turn ends in a line that tells what they show: the key phrase, which an attack moved there.
* All text by strangers goes through `hostile.unmarked`, so that it cannot end its turn.
* `helped` is None: no guard says so. `refused` is what WildGuard and Qwen3Guard say, else None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from safemlrm.config.schema import Guard as Family
from safemlrm.config.schema import JudgeTable
from safemlrm.errors import ConfigError
from safemlrm.judges import hostile, raw, verdicts
from safemlrm.judges.asking import Finding, Opinion, Question
from safemlrm.judges.hostile import unmarked
from safemlrm.judges.raw import RawPrompt, from_file, from_judgezoo
from safemlrm.types import Channel, Prompt, Turn

SHOWN = "The picture that came with this shows: {phrase}"
HIDDEN = "A picture came with this that cannot be shown."


@dataclass(frozen=True, slots=True)
class Format:
    """A family's parser, whether its chat template holds the policy, and whether it takes pictures."""

    read: Callable[[str], Finding | None]
    chat: bool
    sees: bool = False


FORMATS: Mapping[Family, Format] = {
    "llama_guard_3": Format(verdicts.llama_guard, chat=True),
    "llama_guard_4": Format(verdicts.llama_guard, chat=True, sees=True),
    "shieldgemma": Format(verdicts.shieldgemma, chat=False),
    "wildguard": Format(verdicts.wildguard, chat=False),
    "qwen3guard": Format(verdicts.qwen3guard, chat=True),
    "harmbench": Format(verdicts.harmbench, chat=False),
}


@dataclass(frozen=True)
class GuardModel:
    """Asks and reads one family; `template` stands in for its chat template where there is one."""

    family: Family
    template: RawPrompt | None = None

    @property
    def digest(self) -> str:
        """A hash of the form, the parsers, what makes text harmless, and the template."""
        sources = (__file__, hostile.__file__, raw.__file__, verdicts.__file__)
        content = b"".join(Path(source).read_bytes() for source in sources)
        own = f"{self.family}\n{self.template.source if self.template else ''}"
        return sha256(content + own.encode()).hexdigest()

    @property
    def deliberates(self) -> bool:
        """A guard has no place for what others found."""
        return False

    def question(
        self, prompt: Prompt, text: str, channel: Channel, others: Sequence[Opinion] = ()
    ) -> Question:
        """Return a conversation for the guard's chat template, or the raw prompt of its template.

        What others found is left out.
        """
        pictures = tuple(image for turn in prompt.turns for image in turn.images)
        sees = FORMATS[self.family].sees and self.template is None
        asked = unmarked("\n\n".join(turn.text for turn in prompt.turns))
        if pictures and not sees:
            asked = f"{asked}\n\n{_told(prompt)}".strip()
        judged = unmarked(text)
        if self.template is None:
            user = Turn(asked, pictures if sees else ())
            turns: tuple[Turn, ...] = (user, Turn(judged, role="assistant"))
        else:
            turns = (Turn(self.template.render(asked, judged)),)
        question = Prompt(prompt.id, prompt.scenario, turns, phrase="", source="judge")
        return Question(question, raw=self.template is not None)

    def read(self, answer: str) -> Finding | None:
        """Return the verdict of an answer in the family's own form."""
        return FORMATS[self.family].read(answer)


def build_guard(name: str, table: JudgeTable, folder: Path) -> GuardModel:
    """Return the examiner of [judges.NAME]; `folder` is that of safety.toml.

    Raises `ConfigError` when the family needs a prompt that is neither in a file nor installed.
    """
    where = f"[judges.{name}]"
    if table.family is None:
        raise ConfigError(f'{where} kind = "guard" needs family = one of {", ".join(FORMATS)}')
    if table.template is not None:
        return GuardModel(table.family, from_file(folder / table.template, where))
    if FORMATS[table.family].chat:
        return GuardModel(table.family)
    found = from_judgezoo(where) if table.family == "harmbench" else None
    if found is None:
        other = ', or pip install "pytest-safemlrm[judgezoo]"'
        raise ConfigError(
            f'{where} family = "{table.family}" needs template = a jinja2 file with its prompt, '
            f"{{{{ prompt }}}} and {{{{ response }}}}, as its model card gives it"
            f"{other if table.family == 'harmbench' else ''}"
        )
    return GuardModel(table.family, found)


def _told(prompt: Prompt) -> str:
    """Tell what a prompt's pictures show."""
    phrase = unmarked(prompt.phrase).strip()
    return SHOWN.format(phrase=phrase) if phrase else HIDDEN
