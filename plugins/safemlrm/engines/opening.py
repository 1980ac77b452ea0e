"""Whether a chat template opens the trace itself, compared with what safety.toml says.

A template such as DeepSeek-R1's ends the prompt with `<think>`, and the model's text starts inside the
trace. Told otherwise we would judge the trace as the answer, or wait for one that never begins.
"""

from __future__ import annotations

from typing import Any

from jinja2 import TemplateError

from safemlrm.config import Model, Reasoning
from safemlrm.errors import EngineError

QUESTION = "How does a paper boat float?"


def check_opening(model: Model, processor: Any, sees: bool) -> None:
    """Raise `EngineError` where `reasoning.prefilled` is not what the template does.

    `sees`: the processor takes messages in parts. Without markers those of `Reasoning` are looked for.
    """
    if not processor.chat_template:
        return  # no question can be put, and that is said when one is
    marks = model.reasoning or Reasoning()
    opened = _opens(_rendered(model, processor, sees), marks)
    said = model.reasoning is not None and model.reasoning.prefilled
    if opened and not said:
        own = "" if marks == Reasoning() else f'open = "{marks.open}", close = "{marks.close}", '
        raise EngineError(
            f"{model.path}: its chat template ends every prompt inside a trace ({marks.open}), so "
            f"that what the model writes starts there; write reasoning = {{ {own}prefilled = true }} "
            "for this model in safety.toml"
        )
    if said and not opened:
        raise EngineError(
            f"{model.path}: reasoning.prefilled = true, but its chat template does not end a prompt "
            f"inside a trace ({marks.open}); leave prefilled out, or give the markers it writes"
        )


def _opens(prompt: str, marks: Reasoning) -> bool:
    """Tell whether the last marker of a prompt opens a trace."""
    return prompt.rfind(marks.open) > prompt.rfind(marks.close)


def _rendered(model: Model, processor: Any, sees: bool) -> str:
    """Return the prompt a question becomes, without what an attack may add."""
    turns = [("system", model.system)] if model.system is not None else []
    conversation = [
        {"role": role, "content": [{"type": "text", "text": text}] if sees else text}
        for role, text in [*turns, ("user", QUESTION)]
    ]
    try:
        text = processor.apply_chat_template(
            conversation, tokenize=False, add_generation_prompt=True
        )
    except (TemplateError, ValueError, TypeError, KeyError, IndexError) as error:
        raise EngineError(
            f"{model.path}: chat template or processor refused the conversation: {error}"
        ) from error
    return str(text)
