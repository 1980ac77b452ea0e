"""A checkpoint's processor or tokenizer: text and pictures in, never video."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import transformers
from transformers.image_utils import make_flat_list_of_images

from safemlrm.errors import EngineError


def sees_pictures(config: Any) -> bool:
    """Tell from the architecture whether a model takes pictures."""
    custom = getattr(config, "auto_map", None) or {}
    known = transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    return type(config) in known or "AutoModelForImageTextToText" in custom


def load_processor(
    sees: bool, config: Any, folder: Path, trust_remote_code: bool, **gguf: str
) -> tuple[Any, Any]:
    """Return processor and tokenizer, which are the same object for a model of text only.

    Pictures are always prepared by the PIL backend, or results would differ between machines with
    and without torchvision. `gguf` is what a loader takes for a GGUF file. Raises `EngineError` when
    there is no chat template.
    """
    if sees:
        kind = _image_only(config) or transformers.AutoProcessor
        processor = kind.from_pretrained(folder, backend="pil", trust_remote_code=trust_remote_code)
        tokenizer = processor.tokenizer
        prepare_once(processor.image_processor)
    else:
        tokenizer = processor = transformers.AutoTokenizer.from_pretrained(
            folder, trust_remote_code=trust_remote_code, **gguf
        )
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    return processor, tokenizer


def need_template(path: object, processor: Any, sees: bool) -> None:
    """Raise `EngineError` where a question cannot be put; only a judge's raw prompt goes without."""
    if not processor.chat_template:
        raise EngineError(
            f"{path}: the {'processor' if sees else 'tokenizer'} has no chat template, so a "
            "question cannot be put as the model was trained; add its chat_template.jinja"
        )


def prepare_once(preparing: Any) -> None:
    """Let an image processor prepare a picture once that many rows of a batch show.

    Only where each picture is prepared by itself, which is what the library's plain processor does.
    """
    kind = type(preparing)
    plain = _plain_preparation()
    if plain is None or getattr(kind, "_preprocess", None) is not plain:
        return

    def each_once(self: Any, images: Any, *args: Any, **settings: Any) -> Any:
        shown: Any = make_flat_list_of_images(images)
        places = {id(picture): picture for picture in shown}
        if len(places) == len(shown) or settings.get("do_pad", self.do_pad):
            return kind.__call__(self, images, *args, **settings)
        prepared = kind.__call__(self, list(places.values()), *args, **settings)
        rows = {name: row for row, name in enumerate(places)}
        pixels = prepared["pixel_values"]
        prepared["pixel_values"] = pixels[[rows[id(picture)] for picture in shown]]
        return prepared

    preparing.__class__ = type(kind.__name__, (kind,), {"__call__": each_once})


def _plain_preparation() -> Any:
    """Return how the library prepares pictures one by one; None in versions that have no such class."""
    try:
        from transformers.image_processing_backends import PilBackend
    except ImportError:
        return None
    return PilBackend._preprocess


def _image_only(config: Any) -> Any:
    """Return the model's processor class without its video processor; None when it has none.

    A video processor needs torchvision, which pictures do not.
    """
    known: Any = transformers.PROCESSOR_MAPPING
    kind = known.get(type(config), None)
    if kind is None or "video_processor" not in inspect.signature(kind.__init__).parameters:
        return None

    def without_video(
        self: Any,
        image_processor: Any = None,
        tokenizer: Any = None,
        chat_template: Any = None,
        **settings: Any,
    ) -> None:
        own = {"image_processor": image_processor, "tokenizer": tokenizer}
        kind.__init__(self, **own, chat_template=chat_template, **settings)

    return type(kind.__name__, (kind,), {"__init__": without_video})
