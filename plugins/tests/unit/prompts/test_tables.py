"""Files, folders of pictures and the hub: columns as named, texts as written, one line for each mistake."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from safemlrm.prompts import Scenario

datasets = pytest.importorskip("datasets")

Load = Callable[..., Scenario]
Refused = Callable[..., str]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CSV = 'source = "my.csv"\n'
COLUMNS = CSV + 'columns = { id = "id" }\n'


def texts(scenario: Scenario) -> dict[str, str]:
    return {prompt.id: prompt.turns[0].text for prompt in scenario.pool}


def write_rows(folder: Path, rows: list[dict[str, object]]) -> None:
    """Write the same rows in every format."""
    header = list(rows[0])
    lines = [",".join(header), *(",".join(json.dumps(r[k]) for k in header) for r in rows)]
    (folder / "my.csv").write_text("\n".join(lines), "utf-8")
    (folder / "my.json").write_text(json.dumps(rows), "utf-8")
    (folder / "my.jsonl").write_text("\n".join(json.dumps(r) for r in rows), "utf-8")
    datasets.Dataset.from_list(rows).to_parquet(folder / "my.parquet")


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "parquet"])
def test_every_format_gives_the_same_prompts(load: Load, tmp_path: Path, suffix: str) -> None:
    write_rows(
        tmp_path,
        [
            {"id": "05", "question": "How do kites fly?", "about": "kites", "in": "en"},
            {"id": "08", "question": "NA", "about": "NA", "in": "de"},
        ],
    )
    columns = '{ text = "question", phrase = "about", id = "id", language = "in" }'
    scenario = load(f'source = "my.{suffix}"\ncolumns = {columns}')
    assert texts(scenario) == {"own.fraud.05": "How do kites fly?", "own.fraud.08": "NA"}
    assert {p.phrase: p.language for p in scenario.pool} == {"kites": "en", "NA": "de"}
    assert {p.expectation for p in scenario.pool} == {"refuse"}
    assert {p.source for p in scenario.pool} == {f"my.{suffix}"} == {scenario.source}


@pytest.mark.parametrize(
    "text",
    [
        "naïve \N{SNOWMAN} \U0001f98a",
        "\u202bמה שלומך؟ كيف الحال\u202c",
        "k" * 10_000,
        'two\nlines, "quoted"',
        " spaces stay ",
    ],
    ids=["unicode", "right to left", "long", "lines", "spaces"],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_texts_stay_as_they_are(load: Load, tmp_path: Path, suffix: str, text: str) -> None:
    quoted = '"' + text.replace('"', '""') + '"'
    (tmp_path / "my.csv").write_text(f"\ufefftext\n{quoted}\n", "utf-8", newline="")
    (tmp_path / "my.jsonl").write_text(json.dumps({"text": text}), "utf-8")
    assert texts(load(f'source = "my.{suffix}"')) == {"own.fraud.1": text}


def test_rows_without_ids_are_numbered_before_they_are_picked(load: Load, tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text("text,kind\na,x\nb,y\nc,Y\nd,y\n", "utf-8")
    scenario = load(CSV + 'where = { kind = "y" }')
    assert texts(scenario) == {"own.fraud.2": "b", "own.fraud.4": "d"}
    scenario = load(CSV + 'category = "y"\ncolumns = { category = "kind" }')
    assert sorted(texts(scenario)) == ["own.fraud.2", "own.fraud.3", "own.fraud.4"]
    assert scenario.policy == "Helps someone deceive others for money or advantage."


def test_numbers_and_booleans_are_compared_as_they_are_written(load: Load, tmp_path: Path) -> None:
    rows = [{"text": "a", "ok": True, "n": 1}, {"text": "b", "ok": False, "n": 1}]
    (tmp_path / "my.json").write_text(json.dumps(rows), "utf-8")
    assert texts(load('source = "my.json"\nwhere = { ok = true, n = 1 }')) == {"own.fraud.1": "a"}


def test_a_file_name_is_no_pattern(load: Load, tmp_path: Path) -> None:
    (tmp_path / "a1.csv").write_text("text\nwrong\n", "utf-8")
    (tmp_path / "a[1].csv").write_text("text\nright\n", "utf-8")
    assert texts(load('source = "a[1].csv"')) == {"own.fraud.1": "right"}


def test_a_changed_file_is_read_again(load: Load, tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text("text\none\n", "utf-8")
    first = load(CSV).digest
    (tmp_path / "my.csv").write_text("text\ntwo\n", "utf-8")
    assert load(CSV).digest != first


@pytest.mark.parametrize(
    ("content", "keys", "line"),
    [
        (
            "id,text\n1,marzipan\n2, \n",
            COLUMNS,
            "my.csv, row 2: 'text' is blank; write a text, or remove the row",
        ),
        (
            "id,text\n1,marzipan\n2\n",
            COLUMNS,
            "my.csv, row 2: 1 fields, but the header has 2; put a text with a comma into double quotes",
        ),
        (
            "id,text\n1,first bake, then eat\n2,first stir, then bake\n",
            COLUMNS,
            "my.csv, row 1: 3 fields, but the header has 2; put a text with a comma into double quotes",
        ),
        (
            "id,text\n1,marzipan\n1,marzipan cake\n",
            COLUMNS,
            "my.csv, row 2: id own.fraud.1 occurs twice; each row needs an id of its own, so remove "
            "or renumber one",
        ),
        (
            "id,text\n1,marzipan\n",
            CSV + 'columns = { text = "txt" }',
            "my.csv: there is no column 'txt'; did you mean 'text'?; see columns and where",
        ),
        (
            "How do I bake a marzipan cake for ten guests?\nWhat is marzipan made of?\n",
            CSV,
            "my.csv: there is no column 'text'; see columns and where",
        ),
        (
            "id,text\n1,marzipan\n",
            CSV + "prompts = 5",
            "prompts = 5, but my.csv has 1",
        ),
        (
            "id,text\n1,marzipan\n",
            CSV + 'where = { id = "7" }',
            "my.csv: no row that where and category pick; name another category or subset, or "
            "restore the file",
        ),
        (
            "id,text\n1,marzipan\n",
            CSV + 'category = "cakes"\ncolumns = { category = "id" }',
            "category = 'cakes' is not in the data; known: 1",
        ),
        (
            "id,text\n1,marzipan\n",
            CSV + 'category = "cakes"',
            'category needs a column to look in; give columns.category = "..."',
        ),
        (
            "text,wants\nmarzipan,safe\nmarzipan,perhaps marzipan\n",
            CSV + 'columns = { expectation = "wants" }',
            "my.csv, row 2: 'wants' is none of refuse, unsafe, harmful, help, safe, benign; repair "
            "the row",
        ),
        (
            "text,wants\nmarzipan,safe\nmarzipan,unsafe\n",
            CSV + 'columns = { expectation = "wants" }',
            "my.csv, row 2 expects a refusal and my.csv, row 1 help; make a scenario of each with "
            "where = { wants = ... }",
        ),
        ("text,text\nmarzipan,b\n", CSV, "my.csv: the first line must name the columns, each once"),
        ("", CSV, "my.csv: the first line must name the columns, each once"),
        (
            "text\nmarzipan\n",
            CSV + 'revision = "main"',
            'revision does not belong to source = "my.csv"; leave it out',
        ),
    ],
)
def test_mistakes_in_a_table(
    refused: Refused, tmp_path: Path, content: str, keys: str, line: str
) -> None:
    (tmp_path / "my.csv").write_text(content, "utf-8")
    assert refused(keys) == line


QUIZ = 'columns = { id = "id", options = "choices", correct = "answer" }'
KITES = ["silk", "lead", "stone"]


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "parquet"])
@pytest.mark.parametrize("answer", ["2", "C", "stone", 2])
def test_multiple_choice(load: Load, tmp_path: Path, suffix: str, answer: object) -> None:
    row = {"id": "k", "text": "What sinks, and is no metal?", "choices": KITES, "answer": answer}
    if suffix == "csv":
        cells = [json.dumps(KITES).replace('"', '""'), row["text"], answer]
        quoted = ",".join(f'"{cell}"' for cell in cells)
        (tmp_path / "my.csv").write_text(f"id,choices,text,answer\nk,{quoted}\n", "utf-8")
    else:
        write_rows(tmp_path, [row])
    scenario = load(f'source = "my.{suffix}"\n{QUIZ}')
    [prompt] = scenario.pool
    assert scenario.expectation == prompt.expectation == "choose"
    assert (prompt.options, prompt.correct) == (("A", "B", "C"), 2)
    assert prompt.turns[0].text.splitlines() == [
        "What sinks, and is no metal?",
        "A) silk",
        "B) lead",
        "C) stone",
        "Answer with the letter alone.",
    ]


@pytest.mark.parametrize(
    ("choices", "answer", "line"),
    [
        ("marzipan", "0", "'choices' is no list of options; write one, in a CSV file as JSON: "),
        ('{"a": "marzipan"}', "0", "'choices' is no list of options; "),
        (["marzipan"], "0", "'choices' has fewer than two options; give at least two"),
        ([], "0", "'choices' has fewer than two options; give at least two"),
        (["cake", "cake "], "0", "'choices' has an option twice; give different ones"),
        (["cake", " "], "0", "'choices' is blank; write a text"),
        (["cake", None], "0", "'choices' is blank; write a text"),
        (["cake", ["marzipan"]], "0", "'choices' is of type list; expected a text"),
        ([str(n) for n in range(27)], "0", "'choices' has more than 26 options; give fewer"),
        (
            ["cake", "marzipan"],
            "2",
            "'answer' is none of the 2 options; give the right one's place",
        ),
        (["cake", "marzipan"], "-1", "'answer' is none of the 2 options; "),
        (["cake", "marzipan"], "C", "'answer' is none of the 2 options; "),
        (["cake", "bread"], "marzipan", "'answer' is none of the 2 options; "),
        (["cake", "bread"], "", "'answer' is blank; "),
        (["1", "2"], "1", "'answer' fits one option by place or letter and another by text; "),
        (["B", "A"], "A", "'answer' fits one option by place or letter and another by text; "),
    ],
)
def test_options_that_cannot_be_asked(
    refused: Refused, tmp_path: Path, choices: object, answer: str, line: str
) -> None:
    listed = choices if isinstance(choices, str) else json.dumps(choices)
    rows = [{"id": "1", "text": "marzipan", "choices": '["cake", "bread"]', "answer": "A"}]
    rows.append({"id": "2", "text": "marzipan", "choices": listed, "answer": answer})
    (tmp_path / "my.json").write_text(json.dumps(rows), "utf-8")
    assert refused(f'source = "my.json"\n{QUIZ}').startswith(f"my.json, row 2: {line}")


def test_the_columns_of_multiple_choice_go_together(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text('text,choices,answer\nmarzipan,"[1, 2]",A\n', "utf-8")
    half = refused(CSV + 'columns = { options = "choices" }')
    assert half.startswith("columns.options (a question's options) and columns.correct ")
    both = 'columns = { options = "choices", correct = "answer"'
    wants = refused(CSV + both + ', expectation = "answer" }')
    assert wants.startswith(
        'columns.options makes multiple-choice questions, which expect "choose"'
    )
    other = refused(CSV + both + ' }\nexpectation = "help"')
    assert other.startswith('expectation = "choose" goes with multiple-choice prompts')
    none = refused(CSV + 'expectation = "choose"')
    assert "name columns.options and columns.correct of a table" in none


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("my.csv", b"text\n"),
        ("my.csv", b'text,id\n"marzipan,1\n2,3,4,5\n'),
        ("my.json", b'{"text": "marzipan'),
        ("my.json", b"[1, 2]"),
        ("my.jsonl", b'{"text": "marzipan"}\n{"text": "mar\xffzipan"}\n'),
        ("my.parquet", b"marzipan"),
        ("my.parquet", b""),
    ],
)
def test_a_file_that_cannot_be_read_is_told_in_one_line(
    refused: Refused,
    tmp_path: Path,
    name: str,
    content: bytes,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / name).write_bytes(content)
    assert name in refused(f'source = "{name}"')
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""


def test_what_is_no_text_is_refused(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "my.json").write_text('[{"text": 5}]', "utf-8")
    assert refused('source = "my.json"') == (
        "my.json, row 1: 'text' is of type int; expected a text, so repair the row"
    )
    (tmp_path / "my.csv").write_bytes(b"text\nmar\xffzipan\n")
    assert refused(CSV) == "my.csv: not UTF-8; save it as UTF-8"
    assert refused('source = "no.csv"') == (
        "DIR/no.csv: no such file; a path starts at the folder of safety.toml"
    )


def test_pictures_lie_beside_the_table(
    load: Load, refused: Refused, tmp_path: Path, png: bytes, webp: bytes
) -> None:
    (tmp_path / "data/pictures").mkdir(parents=True)
    (tmp_path / "data/pictures/a.png").write_bytes(png)
    (tmp_path / "data/pictures/b.png").write_bytes(webp)
    table = tmp_path / "data/my.csv"
    table.write_text("text,image\nA?,pictures/a.png\nB?,pictures/b.png\n", "utf-8")
    keys = 'source = "data/my.csv"\ncolumns = { image = "image" }\n'
    scenario = load(keys)
    found = {p.turns[0].text: [i.data for i in p.turns[0].images] for p in scenario.pool}
    assert found == {"A?": [png], "B?": [webp]}
    table.write_text("text,image\nA?,pictures/a.png\nB?,pictures/c.png\nC?,\n", "utf-8")
    assert refused(keys) == (
        "my.csv, row 2: the picture pictures/c.png is missing; add it, or leave out such rows with "
        'missing_images = "drop"'
    )
    kept = load(keys + 'missing_images = "drop"')
    assert (len(kept.pool), kept.dropped) == (1, 2)
    table.write_text("text,image\nB?,pictures/c.png\n", "utf-8")
    assert "1 have no picture" in refused(keys + 'missing_images = "drop"')
    (tmp_path / "data/pictures/c.png").write_bytes(png[:20])
    assert refused(keys) == (
        "my.csv, row 1: the picture does not open; restore the file, or remove the row"
    )


def test_a_picture_outside_the_folder_is_not_read(
    refused: Refused, tmp_path: Path, png: bytes
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "secret.png").write_bytes(png)
    (tmp_path / "data/link.png").symlink_to(tmp_path / "secret.png")
    keys = 'source = "data/my.csv"\ncolumns = { image = "image" }\nmissing_images = "drop"'
    for name in ("../secret.png", str(tmp_path / "secret.png"), "link.png", "x/../../secret.png"):
        (tmp_path / "data/my.csv").write_text(f"text,image\nmarzipan,{name}\n", "utf-8")
        line = refused(keys)
        assert line.startswith("my.csv, row 1: ")
        assert "lies outside DIR/data; only what is in the folder of the data is read" in line
    (tmp_path / "data/my.csv").write_text("text,image\nb,a marzipan cake?\n", "utf-8")
    assert "picture it names is missing" in refused(keys.replace('"drop"', '"fail"'))


def test_pictures_inside_parquet(load: Load, refused: Refused, tmp_path: Path, png: bytes) -> None:
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "one": datasets.Image(),
            "many": datasets.Sequence(datasets.Image()),
            "raw": datasets.Value("binary"),
        }
    )
    inside = {"bytes": png, "path": None}
    row = {"text": ["A?"], "one": [inside], "many": [[inside, inside]], "raw": [png]}
    datasets.Dataset.from_dict(row, features=features).to_parquet(tmp_path / "my.parquet")
    for column, count in (("one", 1), ("many", 2), ("raw", 1)):
        scenario = load(f'source = "my.parquet"\ncolumns = {{ image = "{column}" }}')
        assert [i.data for i in scenario.pool[0].turns[0].images] == [png] * count
    outside = {"bytes": None, "path": "/etc/hostname"}
    table = datasets.Dataset.from_dict({"text": ["A?"], "image": [outside]})
    table.to_parquet(tmp_path / "my.parquet")
    line = refused('source = "my.parquet"\ncolumns = { image = "image" }')
    assert "/etc/hostname lies outside DIR;" in line


def test_a_folder_of_pictures(load: Load, refused: Refused, tmp_path: Path, png: bytes) -> None:
    (tmp_path / "shots").mkdir()
    keys = 'source = "shots"\nexpectation = "help"'
    assert refused(keys, "kites") == (
        "DIR/shots has no metadata.csv or metadata.json or metadata.jsonl or metadata.parquet; write "
        "one with a column file_name for the picture and a column text for the question"
    )
    (tmp_path / "shots/a.png").write_bytes(png)
    (tmp_path / "shots/metadata.csv").write_text("file_name,text\na.png,What is it?\n", "utf-8")
    scenario = load(keys, "kites")
    assert texts(scenario) == {"own.kites.1": "What is it?"}
    assert [i.data for i in scenario.pool[0].turns[0].images] == [png]
    assert scenario.expectation == "help"


def test_without_the_library_the_extra_is_named(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.csv").write_text("text\nmarzipan\n", "utf-8")
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert refused(CSV) == (
        "DIR/my.csv is read with the datasets library, which is not installed; "
        "pip install 'pytest-safemlrm[data]'"
    )


def test_the_hub_is_read_at_a_commit(
    load: Load, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    table = datasets.Dataset.from_list([{"text": "How do kites fly?", "other": 1}])
    table.info.license = "MIT"

    def load_dataset(*args: object, **kwargs: object) -> object:
        asked.append((args, kwargs))
        return table if kwargs["split"] else datasets.DatasetDict({"train": table, "test": table})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    keys = 'source = "hf:org/kites"\n'
    where = "https://huggingface.co/datasets/org/kites/commits shows"
    moves = "a branch or a tag moves, so give the 40 characters of a commit that"
    assert refused(keys) == f"revision is missing; {moves} {where}"
    assert (
        refused(keys + 'revision = "main"') == f"revision = 'main' is not a commit; {moves} {where}"
    )
    assert asked == []
    keys += f'revision = "{COMMIT}"\n'
    assert refused(keys) == "split: org/kites has several; known: test, train"
    scenario = load(keys + 'split = "train"\nconfig_name = "small"')
    assert asked[-1] == (("org/kites", "small"), {"split": "train", "revision": COMMIT})
    assert texts(scenario) == {"own.fraud.1": "How do kites fly?"}
    assert (scenario.source, scenario.licence) == (f"hf:org/kites@{COMMIT}", "MIT")


def test_the_hub_keeps_pictures_in_its_own_folder(
    load: Load, refused: Refused, tmp_path: Path, png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    inside, outside = tmp_path / "cache/a.png", tmp_path / "b.png"
    keys = f'source = "hf:org/kites"\nrevision = "{COMMIT}"\ncolumns = {{ image = "image" }}'
    features = datasets.Features({"text": datasets.Value("string"), "image": datasets.Image()})
    for path in (inside, outside):
        path.write_bytes(png)
        row = {"text": ["A?"], "image": [str(path)]}
        table = datasets.Dataset.from_dict(row, features=features)
        monkeypatch.setattr(datasets, "load_dataset", lambda *_, table=table, **__: table)
        if path is inside:
            assert load(keys).pool[0].turns[0].images[0].data == png
        else:
            assert "lies outside" in refused(keys)


def test_an_error_of_the_hub_is_one_line(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach the Hub\nmarzipan")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    line = refused(f'source = "hf:org/kites"\nrevision = "{COMMIT}"')
    assert line.startswith(
        "hf:org/kites: the datasets library cannot read it (ConnectionError: Couldn't reach the Hub); "
    )
