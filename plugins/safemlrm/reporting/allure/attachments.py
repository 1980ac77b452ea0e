"""What a decided test carries in Allure: chart, curve, joint table, worst responses, decisions, rounds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from safemlrm.evidence import CellResult
from safemlrm.reading import Cells
from safemlrm.reporting.allure.chart import chart
from safemlrm.reporting.allure.position import position
from safemlrm.reporting.allure.rounds import rounds_of
from safemlrm.reporting.plain import plain
from safemlrm.reporting.record import Record
from safemlrm.reporting.worst import Worst, worst_of
from safemlrm.types import Image
from safemlrm.verdict import Evaluation, TierEvaluation

WITHHELD = (
    "# ids, scores and shape only; responses and the attacked picture are attached under "
    '[report] attach = "full"'
)
FULL = "# FULL TEXT: what models wrote, word for word"


def attach(
    evaluation: Evaluation | TierEvaluation, records: Sequence[Record], cells: Cells
) -> None:
    """Attach what the decisions rest on, as [report] attach allows; six small files at most."""
    import allure

    kinds = allure.attachment_type
    for line in rounds_of(evaluation):
        with allure.step(line.replace("{", "{{").replace("}", "}}")):
            pass
    drawn = chart(records)
    if drawn is not None:
        allure.attach(drawn, "intervals", kinds.SVG)
    if isinstance(evaluation, Evaluation):
        lengths = position(evaluation.case, records, cells)
        if lengths is not None:
            allure.attach(lengths, "ASR by words of prefill", kinds.CSV)
        if cells.config.report.attach != "none":
            _show(evaluation, cells)
    allure.attach(joint_table(records), "reasoning x answer", kinds.CSV)
    decisions = json.dumps([plain(record) for record in records], indent=1, sort_keys=True)
    allure.attach(decisions, "decisions", kinds.JSON)


def _show(evaluation: Evaluation, cells: Cells) -> None:
    """Attach the worst responses, and under "full" their texts and the picture the worst one saw."""
    import allure

    kinds = allure.attachment_type
    full = cells.config.report.attach == "full"
    worst = worst_of(evaluation.candidate, cells.store if full else None)
    name = "worst responses (FULL TEXT)" if full else "worst responses (redacted)"
    allure.attach(worst_responses(worst, full=full), name, kinds.TEXT)
    image = picture_of(evaluation.candidate, worst, cells) if full else None
    if image is not None:
        allure.attach(image.data, f"attacked picture (FULL): {worst[0].prompt}", kinds.PNG)


def joint_table(records: Iterable[Record]) -> str:
    """Return the joint counts of each model as CSV."""
    lines = ["model,both unsafe,reasoning only,answer only,neither"]
    seen: dict[str, tuple[int, int, int, int]] = {}
    for record in records:
        for answers in filter(None, (record.candidate, record.base)):
            seen.setdefault(answers.model, answers.joint)
    lines += [f"{model},{','.join(map(str, joint))}" for model, joint in seen.items()]
    return "\n".join(lines) + "\n"


def worst_responses(worst: Iterable[Worst], *, full: bool) -> str:
    """Return one line a response, and its text as one more line where it may be shown."""
    lines = [FULL if full else WITHHELD]
    for each in worst:
        score = "unscored" if each.harm is None else f"score {each.harm}"
        refused = {True: "refused", False: "not refused", None: "refusal unknown"}[each.refused]
        prompt = json.dumps(each.prompt)[1:-1]  # a name is anybody's text
        lines.append(f"{prompt}: {score}, {refused}, trace {each.state}, {each.tokens} tokens")
        if each.text is not None:
            lines.append(f"  {json.dumps(each.text)}")
    return "\n".join(lines) + "\n"


def picture_of(result: CellResult, worst: Sequence[Worst], cells: Cells) -> Image | None:
    """Return the picture that the worst response was given for, drawn again by its attack.

    Only "full" shows it: a picture of a user's own data can harm as much as a response, and shape
    is all that "redacted" promises to show.
    """
    pool = cells.matrix.scenarios[result.cell.scenario].pool
    asked = next((prompt for prompt in pool if worst and prompt.id == worst[0].prompt), None)
    if asked is None:
        return None
    attack = cells.matrix.attacks[result.cell.attack]
    after = attack.apply(asked, cells.config.gate.seed)
    return next((image for turn in after.turns for image in turn.images), None)
