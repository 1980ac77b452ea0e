"""Text by strangers inside a judge's question: made visible, fenced or quoted, never a special token.

A rubric's question is one text of ours, so that strangers' texts stand in fences by marks that they
cannot know. A guard was trained on turns without fences, so that there nothing may begin a turn.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import sha256

INVISIBLE = frozenset({"Cf", "Cc", "Cs", "Co", "Cn"})
KEPT = frozenset("\n\t")
# Letters and marks that show nothing: joiners, fillers, and variation selectors, of which a row can
# spell a message.
BLANK = frozenset(
    map(
        chr,
        [
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ],
    )
)
# Families write special tokens as "<...>", "<|...|>", "<<...>>" or "[UPPER]", and a tokenizer may
# fold wide and small forms of the brackets into these. Two square brackets open our own fences.
ANGLE = re.compile("([<\ufe64\uff1c])(?=[^\\s=])")
SQUARE = re.compile(
    "([\\[\uff3b\ufe47])(?=[\\[\uff3b\ufe47@]|/?[a-z]?[A-Z]{2}|toxicity=|multimodal)"
)
ROLES = (
    "user|human(?: user| question)?|agent|(?:ai )?assistant|system|developer|tool|model|bot"
    "|chatbot(?: response)?|behaviou?r|generation|prompt|question|request|response|answers?"
)
TURN = re.compile(
    rf"(?im)^(?=[^\w\n]*(?:{ROLES})[^\w\n]*[:\uff1a\ufe55])|^(?=[ \t]*-{{3,}}[ \t]*$)"
)
QUOTED = "> "


def fenced(label: str, text: str) -> str:
    """Return a text between two lines that name it and carry a mark computed from the text itself.

    A text that closes its own fence would have to hold its own hash, and no text keeps "[[", so that
    it cannot close another's either. Special tokens are broken up and invisible characters removed.
    """
    shown = unbracketed(visible(text))
    mark = sha256(f"{label}\n{shown}".encode()).hexdigest()[:20]
    return f"[[{label} {mark}]]\n{shown}\n[[end of {label} {mark}]]"


def unmarked(text: str) -> str:
    """Return a visible text in which nothing is a special token or begins a turn of a conversation.

    A line that names a speaker or is a rule becomes a quoted line ("> User: ..."), since some guards'
    templates write turns like that. Words stay as they are.
    """
    return TURN.sub(QUOTED, unbracketed(visible(text)))


def unbracketed(text: str) -> str:
    """Return a text with a visible space behind each bracket that may open a special token.

    This holds in whatever family ("< |eot_id|>", "[ /INST]"), since what reads the text is not known
    here; it also spaces tags of other kinds ("< div>"), which harms no verdict.
    """
    return SQUARE.sub(r"\1 ", ANGLE.sub(r"\1 ", text))


def visible(text: str) -> str:
    """Return a text without control, format, private, unassigned and blank characters.

    They could hide words from a person or split them for a model. Line breaks of every kind become
    the plain one; tabs stay.
    """
    lines = "\n".join(text.splitlines())
    return "".join(
        c
        for c in lines
        if c in KEPT or (c not in BLANK and unicodedata.category(c) not in INVISIBLE)
    )
