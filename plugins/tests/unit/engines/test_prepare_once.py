"""A picture that many rows show is prepared once, and its pixels are those it has alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from safemlrm import organisms

pytestmark = pytest.mark.slow


def test_pixels_are_those_of_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    import transformers
    from transformers.image_processing_backends import PilBackend

    from safemlrm.engines.processors import prepare_once

    hf: Any = transformers
    folder = Path(organisms.__file__).parent / "base"
    preparing = hf.AutoProcessor.from_pretrained(folder, backend="pil").image_processor
    pictures = [Pillow.effect_noise((64, 48), 10 * i).convert("RGB") for i in range(1, 4)]
    shown = [pictures[i] for i in (2, 0, 2, 1, 0, 2)]
    expected = preparing(shown, return_tensors="pt")["pixel_values"]
    prepared: list[object] = []
    plain = PilBackend.process_image

    def noted(self: Any, image: Any, *args: Any, **settings: Any) -> Any:
        prepared.append(image)
        return plain(self, image, *args, **settings)

    monkeypatch.setattr(PilBackend, "process_image", noted)
    prepare_once(preparing)
    for images in (shown, [[picture] for picture in shown]):
        prepared.clear()
        assert torch.equal(preparing(images, return_tensors="pt")["pixel_values"], expected)
        assert len(prepared) == len(pictures)


def test_a_processor_with_a_way_of_its_own_keeps_it() -> None:
    from transformers.image_processing_backends import PilBackend

    from safemlrm.engines.processors import prepare_once

    class Own(PilBackend):
        def _preprocess(self, *args: Any, **settings: Any) -> Any:
            raise NotImplementedError

    preparing = Own.__new__(Own)
    prepare_once(preparing)
    assert type(preparing) is Own
