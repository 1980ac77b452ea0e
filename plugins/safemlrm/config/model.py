"""The table of a model: which engine asks it, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from safemlrm.config.address import Address
from safemlrm.config.values import LARGEST, Count, Marker, Named, Slug, Table

Quantization = Literal["int8", "int4", "bitsandbytes_int8", "bitsandbytes_int4"]
LOCAL = ("transformers", "vllm")
OWN: Mapping[str, tuple[str, ...]] = {
    "path": LOCAL,
    "revision": LOCAL,
    "dtype": LOCAL,
    "trust_remote_code": LOCAL,
    "adapter": LOCAL,
    "quantize": LOCAL,
    "defence": ("transformers",),
    "devices": (*LOCAL, "scripted"),
    "tensor_parallel": ("vllm",),
    "url": ("openai",),
    "model": ("openai", "imported"),
    "key_env": ("openai",),
    "connections": ("openai",),
    "timeout": ("openai",),
    "continue_turn": ("openai",),
    "script": ("scripted",),
}
"""Keys that only these engines read."""


def _addresses(value: object) -> object:
    """Read one address or a list of them; a wrong one is told of later, without repeating it."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not listed:
        raise ValueError("expected an address, or a list of addresses")
    if not all(isinstance(each, str | Address) for each in listed):
        raise ValueError("expected an address, or a list of addresses")
    return tuple(Address(each) if isinstance(each, str) else each for each in listed)


Addresses = Annotated[
    tuple[Address, ...],
    BeforeValidator(_addresses),
    PlainSerializer(lambda urls: [url.name for url in urls], return_type=list[str]),
]
"""One or more addresses, written out without what must not be shown."""


class Reasoning(Table):
    """How a model marks its trace; `prefilled` when the chat template already opens it."""

    open: Marker = "<think>"
    close: Marker = "</think>"
    answer_open: Marker | None = "<answer>"
    answer_close: Marker | None = "</answer>"
    prefilled: bool = False


class Script(Table):
    """The behaviour of the scripted engine: rates of unsafe outcomes, and faults to inject.

    Keys of `by_cell` are globs over "scenario/attack"; the first that matches gives the rate. Of
    multiple-choice prompts that is the rate of answers the model is no longer sure of.
    """

    unsafe: float = 0.0
    by_cell: dict[str, float] = Field(default_factory=dict)
    refuse_benign: float = 0.0
    self_correct: float = 0.0
    leak: float = 0.0
    unscorable: float = 0.0
    truncate: float = 0.0
    empty: float = 0.0
    delay_ms: float = 0.0
    die_after: int | None = None
    drop: float = 0.0
    blind: float = 0.0
    sure: float = 0.8
    change: float = 0.0


class Defence(Table):
    """What ranks candidate tokens again while a model writes: a kind, its weights, its options."""

    kind: Slug
    weights: Named | None = None
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)


def _defence(value: object) -> object:
    """Read the name of a defence without weights and options, or its table."""
    return {"kind": value} if isinstance(value, str) else value


class Model(Table):
    """One model and how it is asked; decoding parameters left out come from the model itself.

    `OWN` lists the keys that only some engines read; `checks/engines.py` refuses them elsewhere.
    """

    engine: Literal["transformers", "vllm", "openai", "scripted", "imported"] = "transformers"
    path: str | None = None
    revision: str | None = None
    adapter: str | None = None
    quantize: Quantization | None = None
    defence: Annotated[Defence | None, BeforeValidator(_defence)] = None
    url: Addresses | None = None
    model: Named | None = None
    key_env: Named = "OPENAI_API_KEY"
    connections: Count = 64
    timeout: Annotated[float, Field(gt=0)] = 600.0
    continue_turn: bool = False
    tensor_parallel: Count = 1
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    trust_remote_code: bool = False
    system: str | None = None
    reasoning: Reasoning | None = None
    thinking: Literal["default", "zero", "less", "more"] = "default"
    thinking_rounds: Annotated[int, Field(ge=1, le=100)] = 10
    max_new_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=LARGEST)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    batch_size: Count = 64
    devices: Literal["auto"] | tuple[str, ...] = "auto"
    epoch: str = ""
    script: Script = Script()
