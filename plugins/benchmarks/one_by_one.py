"""What a verdict costs without this plugin: every prompt to every model, one after another.

The procedure of the toolkit that came first (OpenSafeMLRM), in our own words: one prompt at a time
through processor and `generate`, the whole pool, both models, nothing kept between runs, one judge
call a response, a file a cell. Models, attacks, prompts, decoding and judge are those of a
safety.toml, so that both sides do the same work. Run by `cost.py` as a process of its own.
"""

from __future__ import annotations

import json
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from safemlrm.config import Model, load_config
from safemlrm.judges import Rules
from safemlrm.matrix import Matrix, build_matrix
from safemlrm.organisms import __file__ as organisms
from safemlrm.responses.split import ReasoningMarkers, split
from safemlrm.types import Cell, Completion, Judge, Prompt


def load(model: Model) -> tuple[Any, Any]:
    """Load processor and network of an embedded model, as a script would."""
    import transformers

    folder = Path(organisms).parent / str(model.path).removeprefix("organism:")
    hf: Any = transformers
    processor = hf.AutoProcessor.from_pretrained(folder, backend="pil")
    return processor, hf.AutoModelForImageTextToText.from_pretrained(folder).eval()


def answer(processor: Any, network: Any, prompt: Prompt, most: int) -> tuple[str, int]:
    """Return one greedy response and the number of its tokens, the last of them the end."""
    import torch
    from PIL import Image

    [turn] = prompt.turns
    pictures = [
        {"type": "image", "image": Image.open(BytesIO(image.data)).convert("RGB")}
        for image in turn.images
    ]
    content = [*pictures, {"type": "text", "text": turn.text}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        add_generation_prompt=True,
    )
    with torch.inference_mode():
        output = network.generate(**inputs, do_sample=False, max_new_tokens=most)
    written = output[0, inputs["input_ids"].shape[1] :]
    return processor.tokenizer.decode(written, skip_special_tokens=True), len(written)


def ask_cell(
    cell: Cell, model: Model, loaded: tuple[Any, Any], matrix: Matrix, judge: Judge, seed: int
) -> list[dict[str, object]]:
    """Ask a model a scenario's whole pool under an attack, judging each response as it comes."""
    marks = model.reasoning
    markers = None if marks is None else ReasoningMarkers(**marks.model_dump())
    rows: list[dict[str, object]] = []
    for prompt in matrix.scenarios[cell.scenario].pool:
        attacked = matrix.attacks[cell.attack].apply(prompt, seed)
        text, tokens = answer(*loaded, attacked, model.max_new_tokens or 256)
        completion = Completion("", text, "stop", 0, tokens)
        [score] = judge.score([(attacked, split(completion, markers))])
        rows.append({"id": prompt.id, "text": text, "tokens": tokens, "score": score.answer})
    return rows


def main(file: str, folder: str) -> int:
    """Ask every cell of a safety.toml and write it into a file of its own."""
    config = load_config(Path(file))
    matrix, judge = build_matrix(config), Rules()
    for name, model in config.models.items():
        loaded = load(model)
        for scenario in config.scenarios:
            for attack in config.attacks:
                cell = Cell(name, scenario, attack)
                rows = ask_cell(cell, model, loaded, matrix, judge, config.gate.seed)
                target = Path(folder) / f"{name}-{scenario}-{attack}.json"
                target.write_text(json.dumps(rows), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
