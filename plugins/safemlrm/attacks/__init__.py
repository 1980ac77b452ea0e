"""Attacks: pure, seeded, versioned transforms of a prompt; one family a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from safemlrm.attacks.chain import Chain
from safemlrm.attacks.code import Code
from safemlrm.attacks.direct import Direct
from safemlrm.attacks.drawing import clipped
from safemlrm.attacks.figstep import FigStep
from safemlrm.attacks.figstep_original import FigStepOriginal
from safemlrm.attacks.imported import Imported
from safemlrm.attacks.injection import PromptInjection
from safemlrm.attacks.mm_safetybench import MmSdTypo, MmTypo
from safemlrm.attacks.prefill import Prefill
from safemlrm.attacks.suppression import RefusalSuppression
from safemlrm.attacks.trigger import Trigger
from safemlrm.types import Attack

BUILTIN: Mapping[str, Callable[..., Attack]] = {
    "code": Code,
    "direct": Direct,
    "figstep": FigStep,
    "figstep_original": FigStepOriginal,
    "imported": Imported,
    "mm_sd_typo": MmSdTypo,
    "mm_typo": MmTypo,
    "prefill": Prefill,
    "prompt_injection": PromptInjection,
    "refusal_suppression": RefusalSuppression,
    "trigger": Trigger,
}

__all__ = [
    "BUILTIN",
    "Chain",
    "Code",
    "Direct",
    "FigStep",
    "FigStepOriginal",
    "Imported",
    "MmSdTypo",
    "MmTypo",
    "Prefill",
    "PromptInjection",
    "RefusalSuppression",
    "Trigger",
    "clipped",
]
