"""The transformers engine on tiny checkpoints with random weights: text only, LLaVA, Qwen2.5-VL."""

from __future__ import annotations

import json
import math
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers import models as token_models

from safemlrm.attacks import FigStep
from safemlrm.attacks.figstep import render
from safemlrm.config import Model, Reasoning
from safemlrm.engines import build_engine
from safemlrm.engines.transformers import TransformersEngine
from safemlrm.errors import EngineError
from safemlrm.prompts import bundled_prompts
from safemlrm.types import Completion, Image, Prompt, Request, Turn

hf: Any = transformers  # many of its signatures are untyped
TEXTS = ["How does a paper boat work? What is shown in the image? Be safe."]
CONTROL = ["<pad>", "<|end|>", "<|user|>", "<|system|>", "<|assistant|>", "<image>", "<video>"]
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>"
    "{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}"
    "{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}"
    "<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
}
SAMPLED = {"do_sample": True, "temperature": 0.9, "top_k": 40, "max_new_tokens": 16}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two OpenMP threads beside another busy process are many times slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny_tokenizer() -> Any:
    """Train a byte-level BPE; `<think>` is an added token, `</think>` even a special one."""
    core: Any = Tokenizer(token_models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet))
    core.add_special_tokens([AddedToken(token, special=True) for token in CONTROL])
    core.add_tokens([AddedToken("<think>", special=False), AddedToken("</think>", special=True)])
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="<|end|>", chat_template=TEMPLATE
    )


def save(network: Any, processor: Any, folder: Path, **generation: Any) -> Path:
    """Save a checkpoint as a model's authors would."""
    tokenizer = getattr(processor, "tokenizer", processor)
    network.generation_config = hf.GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, **generation
    )
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a Llama of 60k parameters."""
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    config = hf.LlamaConfig(vocab_size=len(tokenizer), **SMALL)
    network = hf.LlamaForCausalLM(config)
    return save(network, tokenizer, tmp_path_factory.mktemp("text"), **SAMPLED)


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a LLaVA: SigLIP tower, projector, Qwen2."""
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    vision = {"image_size": 32, "patch_size": 16, "hidden_size": 32, "intermediate_size": 32}
    layers = {"num_hidden_layers": 2, "num_attention_heads": 2}
    config = hf.LlavaConfig(
        vision_config=hf.SiglipVisionConfig(**vision, **layers),
        text_config=hf.Qwen2Config(vocab_size=len(tokenizer), **SMALL),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_seq_length=4,
    )
    processor = hf.LlavaProcessor(
        image_processor=hf.SiglipImageProcessorPil(size={"height": 32, "width": 32}),
        tokenizer=tokenizer,
        patch_size=16,
        vision_feature_select_strategy="full",
        image_token="<image>",
        num_additional_image_tokens=0,
        chat_template=TEMPLATE,
    )
    network = hf.LlavaForConditionalGeneration(config)
    return save(network, processor, tmp_path_factory.mktemp("llava"), **SAMPLED)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a Qwen2.5-VL, whose processor has a video part that needs torchvision."""
    tokenizer = tiny_tokenizer()
    tokenizer.image_token, tokenizer.video_token = "<image>", "<video>"
    number = tokenizer.convert_tokens_to_ids
    tokenizer.image_token_id, tokenizer.video_token_id = number("<image>"), number("<video>")
    torch.manual_seed(0)
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    config = hf.Qwen2_5_VLConfig(
        text_config={**SMALL, "vocab_size": len(tokenizer), "rope_parameters": rope},
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "num_heads": 2,
            "intermediate_size": 32,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
        },
        image_token_id=number("<image>"),
        video_token_id=number("<video>"),
        vision_start_token_id=number("<|user|>"),
        vision_end_token_id=number("<|end|>"),
    )
    folder = tmp_path_factory.mktemp("qwen")
    network = hf.Qwen2_5_VLForConditionalGeneration(config)
    save(network, tokenizer, folder, repetition_penalty=1.05, **SAMPLED)
    picture = hf.Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=56 * 56)
    settings = {"image_processor": picture.to_dict(), "processor_class": "Qwen2_5_VLProcessor"}
    (folder / "processor_config.json").write_text(json.dumps(settings))
    special = {"image_token": "<image>", "video_token": "<video>"}
    tokens = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {**tokens, "model_specific_special_tokens": special, "extra_special_tokens": special}
        )
    )
    return folder


def request(number: int, picture: bool = False, seed: int | None = None) -> Request:
    """Return a request; its text is longer the higher its number."""
    images = (render(f"boat {number % 3}"),) if picture else ()
    turn = Turn("How " + "does " * (number % 7) + "a paper boat work?", images)
    prompt = Prompt(f"p-{number}", "fraud", (turn,), "a paper boat")
    return Request(f"k-{number}", prompt, 1000 + number if seed is None else seed)


def loaded(folder: Path, **settings: Any) -> TransformersEngine:
    """Load a checkpoint on the CPU."""
    return TransformersEngine(Model(path=str(folder), **settings), Path(), "cpu")


def asked(engine: TransformersEngine, requests: list[Request]) -> dict[str, Completion]:
    """Ask and return completions by key."""
    return {completion.key: completion for completion in engine.generate(requests)}


@pytest.mark.parametrize("temperature", [0.0, 1.0, None])
@pytest.mark.parametrize("name", ["text_model", "llava", "qwen"])
def test_a_response_does_not_depend_on_its_batch(
    request_fixture: Callable[[str], Path], name: str, temperature: float | None
) -> None:
    engine = loaded(request_fixture(name), temperature=temperature, system="Be safe.")
    pictures = name != "text_model"
    requests = [request(i, picture=pictures and i % 2 == 0) for i in range(16)]
    together = asked(engine, requests)
    alone = [completion for one in requests for completion in engine.generate([one])]
    assert [together[one.key] for one in requests] == alone
    assert asked(engine, requests[::-1]) == together
    assert len({completion.text for completion in alone}) > 5


@pytest.fixture
def request_fixture(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """Return a fixture by name."""
    return lambda name: Path(request.getfixturevalue(name))


@pytest.mark.parametrize("thinking", ["default", "zero", "more"])
@pytest.mark.parametrize("name", ["text_model", "llava", "qwen"])
def test_a_turn_that_is_begun_is_continued_the_same_in_any_batch(
    request_fixture: Callable[[str], Path], name: str, thinking: str
) -> None:
    engine = loaded(request_fixture(name), thinking=thinking, reasoning=Reasoning())
    requests = [request(i, picture=name != "text_model" and i % 2 == 0) for i in range(12)]
    begun = [
        replace(one, prompt=replace(one.prompt, prefill="Be safe." if i % 3 else ""))
        for i, one in enumerate(requests)
    ]
    together = asked(engine, begun)
    alone = [completion for one in begun for completion in engine.generate([one])]
    assert [together[one.key] for one in begun] == alone
    answered = [c.text for one, c in zip(begun, alone, strict=True) if one.prompt.prefill]
    assert all(text.startswith("Be safe.") for text in answered if text)
    assert len(set(answered)) > 5


@pytest.mark.parametrize("name", ["text_model", "llava", "qwen"])
def test_a_begun_turn_is_encoded_as_any_other(
    request_fixture: Callable[[str], Path], name: str
) -> None:
    engine = loaded(request_fixture(name))
    requests = [request(i, picture=name != "text_model") for i in range(4)]
    conversations = [engine._conversation(one.prompt) for one in requests]
    plain = engine._encode(conversations)
    begun = engine._encode(conversations, ["?"] * 4)
    assert set(begun) == set(plain)
    assert torch.equal(begun["input_ids"][:, :-1], plain["input_ids"])
    assert all(torch.equal(begun[key], plain[key]) for key in plain if "pixel" in key)


@pytest.mark.parametrize("name", ["llava", "qwen"])
def test_the_picture_changes_the_answer(request_fixture: Callable[[str], Path], name: str) -> None:
    engine = loaded(request_fixture(name), temperature=0.0)
    turns = [Turn("What is shown?", (render(phrase),)) for phrase in ("a boat", "a bee", "a car")]
    prompts = [Prompt(f"p-{i}", "fraud", (turn,), "x") for i, turn in enumerate(turns)]
    prompts.append(Prompt("p-3", "fraud", (Turn("What is shown?"),), "x"))
    answers = asked(engine, [Request(p.id, p, 0) for p in prompts])
    assert len({answer.text for answer in answers.values()}) == 4
    assert answers["p-0"].prompt_tokens == answers["p-1"].prompt_tokens
    assert answers["p-0"].prompt_tokens > answers["p-3"].prompt_tokens


def test_the_seed_changes_the_answer_and_the_system_prompt_too(text_model: Path) -> None:
    engine = loaded(text_model)
    seeds = [Request(f"s-{seed}", request(0).prompt, seed) for seed in range(8)]
    assert len({answer.text for answer in asked(engine, seeds).values()}) == 8
    plain, system = (
        loaded(text_model, temperature=0.0),
        loaded(text_model, temperature=0.0, system="Be"),
    )
    assert asked(plain, [request(0)]) != asked(system, [request(0)])


def test_greedy_is_plain_generate(text_model: Path) -> None:
    engine = loaded(text_model, temperature=0.0, max_new_tokens=12)
    tokenizer = hf.AutoTokenizer.from_pretrained(text_model)
    network = hf.AutoModelForCausalLM.from_pretrained(text_model).eval()
    for number in range(6):
        one = request(number)
        chat = [{"role": "user", "content": one.prompt.turns[0].text}]
        inputs: Any = tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        output = network.generate(**inputs, do_sample=False, max_new_tokens=12)
        written = output[0, inputs["input_ids"].shape[1] :]
        [answer] = engine.generate([one])
        special = [token for token in CONTROL if token in tokenizer.decode(written)]
        text = tokenizer.decode(written)
        for token in special:
            text = text.replace(token, "")
        assert answer.text.replace("</think>", "") == text.replace("</think>", "")
        assert answer.prompt_tokens == inputs["input_ids"].shape[1]


def test_frequencies_are_those_of_plain_generate(text_model: Path) -> None:
    """Two-sample chi-square of the first token, ours against transformers' own sampling."""
    n = 4000
    engine = loaded(text_model, max_new_tokens=1, batch_size=500)
    prompt = request(0).prompt
    ours = Counter(c.text for c in engine.generate([Request(f"k{i}", prompt, i) for i in range(n)]))
    checkpoint = engine._checkpoint
    inputs = engine._encode([engine._conversation(prompt)])
    plain = hf.GenerationConfig.from_pretrained(text_model)
    plain.update(max_new_tokens=1, num_return_sequences=n, top_p=1.0)
    torch.manual_seed(1)
    output = checkpoint.network.generate(**inputs, generation_config=plain)
    theirs = Counter(engine._completion("k", [token], 0).text for token in output[:, -1].tolist())
    often = {text for text in ours | theirs if ours[text] + theirs[text] >= 40}
    assert len(often) > 5
    chi_square = sum((ours[t] - theirs[t]) ** 2 / (ours[t] + theirs[t]) for t in often)
    free = len(often)
    assert chi_square < free + 5 * math.sqrt(2 * free)


@pytest.mark.parametrize("picture", [False, True])
def test_the_organism_answers_as_with_plain_generate(picture: bool) -> None:
    """Two-sample chi-square of whole responses, ours against the checkpoint's own settings."""
    n = 600
    engine = TransformersEngine(Model(path="organism:base", batch_size=200), Path(), "cpu")
    prompt = bundled_prompts("legal_opinion")[7]
    prompt = FigStep().apply(prompt, seed=0) if picture else prompt
    ours = Counter(c.text for c in engine.generate([Request(f"k{i}", prompt, i) for i in range(n)]))
    checkpoint = engine._checkpoint
    folder = checkpoint.network.config.name_or_path
    plain = hf.LlavaForConditionalGeneration.from_pretrained(folder).eval()
    torch.manual_seed(1)
    inputs = engine._encode([engine._conversation(prompt)])
    output = plain.generate(**inputs, num_return_sequences=n)
    written = output[:, inputs["input_ids"].shape[1] :]
    theirs = Counter(checkpoint.tokenizer.batch_decode(written, skip_special_tokens=True))
    often = [text for text in ours | theirs if ours[text] + theirs[text] >= 10]
    assert len(often) > 3
    chi_square = sum((ours[t] - theirs[t]) ** 2 / (ours[t] + theirs[t]) for t in often)
    assert chi_square < len(often) + 5 * math.sqrt(2 * len(often))


@pytest.mark.parametrize("marks", [None, Reasoning()], ids=["without", "with"])
def test_markers_survive_decoding_and_control_tokens_do_not(
    text_model: Path, marks: Reasoning | None
) -> None:
    engine = loaded(text_model, reasoning=marks)
    encode = engine._checkpoint.tokenizer.encode
    written = "<think>a</think><|user|>boat<image><|end|>"
    completion = engine._completion("k", encode(written + "ignored"), 3)
    assert completion.text == ("<think>a</think>boat" if marks else "<think>aboat")
    assert (completion.finish, completion.completion_tokens) == ("stop", len(encode(written)))


def test_finish_tells_an_end_from_the_limit(text_model: Path) -> None:
    long = asked(loaded(text_model, max_new_tokens=200), [request(i) for i in range(24)])
    short = asked(loaded(text_model, max_new_tokens=2), [request(i) for i in range(24)])
    assert {completion.finish for completion in long.values()} == {"stop", "length"}
    for key, completion in long.items():
        if completion.finish == "length":
            assert completion.completion_tokens == 200
        assert completion.text.startswith(short[key].text.rstrip("\ufffd"))
        assert short[key].completion_tokens <= 2


def test_nothing_is_warned_of_or_printed(llava: Path, capfd: pytest.CaptureFixture[str]) -> None:
    hf.utils.logging.set_verbosity_warning()
    engine = loaded(llava)
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asked(engine, [request(0, picture=True), request(1)])
    assert capfd.readouterr() == ("", "")


def test_out_of_memory_halves_the_batch(text_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loaded(text_model)
    requests = [request(i) for i in range(8)]
    expected = asked(engine, requests)
    network, sizes = engine._checkpoint.network, []
    generate = network.generate

    def small(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return generate(**inputs)

    monkeypatch.setattr(network, "generate", small)
    assert asked(engine, requests) == expected
    assert sizes == [8, 4, 2, 2, 2, 2]
    assert asked(engine, requests) == expected
    assert sizes[6:] == [2, 2, 2, 2]  # remembered for the rest of the run


def test_what_fits_is_remembered_for_each_kind_of_request(
    llava: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures take more memory than text, and do not make batches of text smaller."""
    engine = loaded(llava, batch_size=6)
    requests = [request(i, picture=i % 2 == 0) for i in range(12)]
    expected = asked(engine, requests)
    network, sizes = engine._checkpoint.network, []
    generate = network.generate

    def small(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if "pixel_values" in inputs and sizes[-1] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return generate(**inputs)

    monkeypatch.setattr(network, "generate", small)
    for _ in range(2):
        assert asked(engine, requests) == expected
    assert sizes == [6, 6, 3, 3, 6, 3, 3]


@pytest.mark.parametrize(
    "error", [RuntimeError("DefaultCPUAllocator: can't allocate memory"), MemoryError()]
)
def test_out_of_memory_with_one_request(
    text_model: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    engine = loaded(text_model)

    def fail(**inputs: Any) -> Any:
        raise error

    monkeypatch.setattr(engine._checkpoint.network, "generate", fail)
    with pytest.raises(EngineError, match="prompt p-0: cpu is out of memory with one request"):
        asked(engine, [request(i) for i in range(3)])


def test_another_runtime_error_is_not_retried(
    text_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = loaded(text_model)
    monkeypatch.setattr(engine, "_answer", lambda rows: (_ for _ in ()).throw(RuntimeError("bug")))
    with pytest.raises(RuntimeError, match="bug"):
        asked(engine, [request(0)])


def test_a_text_model_is_not_shown_pictures(text_model: Path) -> None:
    with pytest.raises(EngineError, match=r"prompt p-0 shows a picture, but .* reads text only"):
        asked(loaded(text_model), [request(0, picture=True)])


def test_a_broken_picture_is_named(llava: Path) -> None:
    turn = Turn("What?", (Image(render("boat").data[:90]),))
    broken = Request("k", Prompt("ia-013", "fraud", (turn,), "x"), 1)
    with pytest.raises(EngineError, match="prompt ia-013: picture 1 cannot be used: truncated"):
        asked(loaded(llava), [broken])


def copied(folder: Path, to: Path) -> Path:
    """Copy a checkpoint in order to damage it."""
    return Path(shutil.copytree(folder, to / "copy"))


@pytest.mark.parametrize("name", ["text_model", "llava"])
def test_no_chat_template(
    request_fixture: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    folder = copied(request_fixture(name), tmp_path)
    (folder / "chat_template.jinja").unlink()
    engine = loaded(folder)  # a judge's raw prompt needs no template
    with pytest.raises(EngineError, match=r"copy: the (tokenizer|processor) has no chat template"):
        list(engine.generate([request(1)]))


def test_a_template_that_refuses_the_system_prompt(text_model: Path, tmp_path: Path) -> None:
    folder = copied(text_model, tmp_path)
    template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    )
    (folder / "chat_template.jinja").write_text(template + TEMPLATE)
    asked(loaded(folder), [request(0)])
    with pytest.raises(EngineError, match=r"chat template or processor refused .* no system role"):
        asked(loaded(folder, system="Be safe."), [request(0)])


def test_pickled_weights_are_refused(text_model: Path, tmp_path: Path) -> None:
    folder = copied(text_model, tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EngineError, match="convert them to safetensors"):
        loaded(folder)


def test_missing_tensors_are_not_made_up(text_model: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = copied(text_model, tmp_path)
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(EngineError, match=r"lack 1 tensors .*model.layers.1.mlp.up_proj.weight"):
        loaded(folder)


@pytest.mark.parametrize("trust", [False, True])
def test_a_models_own_code_is_run_only_when_trusted(
    text_model: Path, tmp_path: Path, trust: bool
) -> None:
    folder = copied(text_model, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "homemade",
        "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.OwnModel"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(
        "from transformers import LlamaConfig, LlamaForCausalLM\n"
        "class Own(LlamaConfig):\n    model_type = 'homemade'\n"
        "class OwnModel(LlamaForCausalLM):\n    config_class = Own\n"
    )
    if trust:
        assert asked(loaded(folder, trust_remote_code=True), [request(0)])
    else:
        with pytest.raises(EngineError, match="brings its own code, which is not run; read it"):
            loaded(folder)


def test_an_unknown_architecture_is_one_line(text_model: Path, tmp_path: Path) -> None:
    folder = copied(text_model, tmp_path)
    (folder / "config.json").write_text('{"model_type": "from_the_future"}')
    with pytest.raises(EngineError) as caught:
        loaded(folder)
    assert "copy: cannot be loaded: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    config = hf.T5Config(vocab_size=16, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=1)
    hf.T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    with pytest.raises(EngineError, match=r"an encoder-decoder \(t5\); chat models"):
        loaded(tmp_path)


@pytest.mark.parametrize("device", ["gpu", "cuda:77"])
def test_an_unknown_device(text_model: Path, device: str) -> None:
    with pytest.raises(EngineError, match=f'devices: "{device}" cannot be used'):
        TransformersEngine(Model(path=str(text_model)), Path(), device)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {"transformers": {"torch": "torch", "no_such_module": "nothing"}}
    monkeypatch.setattr("safemlrm.engines.NEEDS", needs)
    with pytest.raises(EngineError) as caught:
        build_engine("base", Model(path="x"), Path(), "cpu")
    assert str(caught.value) == (
        '[models.base] engine "transformers" needs nothing: pip install "pytest-safemlrm[hf]"'
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_dtype_is_the_configured_one(llava: Path, dtype: str) -> None:
    engine = loaded(llava, dtype=dtype)
    assert engine._checkpoint.network.dtype == getattr(torch, dtype)
    assert asked(engine, [request(0, picture=True)])
