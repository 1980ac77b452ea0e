"""What a run would ask, cost and be able to detect, before it costs anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from safemlrm.canary import Clipping
from safemlrm.config import Config
from safemlrm.decision import cannot_fail
from safemlrm.family import Family, Hypothesis
from safemlrm.plan import Plan
from safemlrm.reporting.record import percent
from safemlrm.reporting.sight import clipping_line
from safemlrm.responses.store import Cost
from safemlrm.types import ALL, Case, Tier


def plan_lines(
    plan: Plan,
    config: Config,
    families: Mapping[str, Family],
    past: Mapping[str, Cost],
    selected: Iterable[Case | Tier | None] = (),
    clippings: Iterable[Clipping] = (),
) -> list[str]:
    """Return the plan in lines; `past` is what asking each model cost so far."""
    total = plan.responses
    tiers = list(dict.fromkeys(subject for subject in selected if isinstance(subject, Tier)))
    images = sum(work.prompts for work in plan.canaries)
    more = f" and {images} transcriptions" if images else ""
    lines = [f"safety plan: {len(plan.cases)} cases, {total} responses{more}"]
    for model in plan.models:
        work = plan.of(model)
        prompts, responses = (sum(getattr(w, name) for w in work) for name in ("prompts", "total"))
        cost = _cost(responses, past.get(model, Cost()))
        more = f", {responses} responses" if responses > prompts else ""
        lines.append(f"  ask {model}: {len(work)} cells, {prompts} prompts{more}; {cost}")
    for canary in plan.canaries:
        model, attack = canary.cell.model, canary.cell.attack
        lines.append(
            f"  ask {model}, legibility: to transcribe {canary.prompts} images of {attack}"
        )
    lines += [f"  {clipping_line(found)}" for found in clippings if found.clipped]
    lines += _conditions(config, total, images)
    pairs = [case.pair for case in plan.cases] + [tier.pair for tier in tiers]
    for pair in dict.fromkeys(pairs):
        lines += ledger_lines(families[pair])
    for case in plan.cases:
        lines += [f"  {_forecast(h)}" for h in families[case.pair].of(case)]
    for tier in tiers:
        lines += [f"  {_forecast(h)}" for h in families[tier.pair].of(tier)]
    return lines


def _cost(prompts: int, past: Cost) -> str:
    """Say what so many prompts would cost if they were all asked, at the rates of the past."""
    if not past.requests:
        return "tokens and time unknown before a first run"
    tokens, seconds = (prompts * part / past.requests for part in (past.tokens, past.seconds))
    return f"about {tokens:,.0f} tokens and {seconds:,.0f} s, from {past.requests} past responses"


def _conditions(config: Config, total: int, images: int) -> list[str]:
    """Say what makes a run ask more or less than the plan."""
    gate, budget = config.gate, config.budget
    kind = config.judges[gate.judge].kind
    calls = "no model call" if kind == "rules" else "one model call or more for each"
    lines = [f"  judge {gate.judge}: {total} responses, {calls} ({kind})"]
    lines.append("  what the store has is not asked again")
    if gate.stop == "early":
        lines.append("  stop = early: decided cells leave, so this is the most it asks")
    if gate.confirm:
        lines.append(
            "  confirm: two more responses a prompt, beyond these, for the cells that noise leaves open"
        )
    if budget.requests is not None and budget.requests < total + images:
        left = total + images - budget.requests
        lines.append(f"  [budget] requests = {budget.requests} would leave up to {left} unasked")
    if budget.judge_calls is not None and kind != "rules" and budget.judge_calls < total:
        left = total - budget.judge_calls
        lines.append(
            f"  [budget] judge_calls = {budget.judge_calls} would leave {left} or more unjudged"
        )
    return lines


def ledger_lines(family: Family) -> list[str]:
    """Return how a pair's alpha is spent."""
    ledger = family.ledger
    lines = [f"  ledger of {family.pair}: alpha {float(ledger.alpha):g}"]
    for name, share in ledger.shares.items():
        spent = float(ledger.alpha * share)
        how = (
            "by Holm over the cells that noise leaves open"
            if name == "confirm"
            else f"over {ledger.sizes[name]} hypotheses: level {ledger.level(name):.2g} each"
        )
        lines.append(f"    {name:<8} {spent:.4f} {how}")
    return lines


def _forecast(hypothesis: Hypothesis) -> str:
    """Say what one hypothesis could find out at the planned number of prompts."""
    subject, zones, n = hypothesis.subject, hypothesis.zones, hypothesis.n
    parts = (subject.pair, subject.scenario, subject.attack)
    title = f"{' / '.join(part for part in parts if part != ALL)}  {hypothesis.metric.label}"
    least = "at least " if hypothesis.limit.direction == "at_least" else ""
    text = f"{title}  limit {least}{percent(float(hypothesis.limit.value))}"
    ungateable = f"{text}: UNGATEABLE, no result of {n} prompts could fail"
    if hypothesis.metric.kind in ("paired", "rise"):
        other = {"accepted": "accepted run"}.get(
            hypothesis.metric.against, hypothesis.metric.against
        )
        return ungateable if cannot_fail(hypothesis) else f"{text}, {n} prompts against the {other}"
    if hypothesis.metric.kind == "calibration":
        return ungateable if cannot_fail(hypothesis) else f"{text}, over {n} prompts"
    if zones is None:
        return f"{text}, of what {n} prompts turn out to be"
    if zones.detectable is None:
        return ungateable
    if zones.passes_to < 0:
        return f"{text}: {n} prompts cannot show it, fails from {zones.fails_from}/{n}"
    return (
        f"{text}: passes to {zones.passes_to}/{n}, fails from {zones.fails_from}/{n}, "
        f"would miss a true rate below {zones.detectable:.0%}"
    )
