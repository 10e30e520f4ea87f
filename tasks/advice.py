"""What to do about an anomaly: templates, filled from the evidence, the best first.

A template whose placeholders are not all in the evidence is not used. The order is the
mean of a Beta-Bernoulli posterior, so it changes with each outcome and with nothing
else: ``(STRENGTH * prior + helped) / (STRENGTH + helped + did_not_help)``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from db import recommendations
from db.ids import new_id
from db.recommendations import Tally, Template
from db.session import Connection
from tasks.grouping import SEVERITIES, Sighted, headline, headline_of

ANY_KIND = "*"
STRENGTH = 4.0
_PRIOR, _PRIOR_OF_TAG = 0.5, 0.6
_MOST = 3
TOLD = (
    *("series", "title", "unit", "kind", "severity", "start", "end", "duration"),
    "tags",
)
"""What is known of every anomaly, but for a unit and tags that a series has not."""
KNOWN = (
    *TOLD,
    *("value", "expected", "direction", "before", "after"),
    *("rule", "reading", "threshold", "surprise", "budget"),
    *("kind_rule", "kind_reading", "kind_threshold", "kind_unit"),
    *("view", "view_reading", "view_distance"),
)
"""What a placeholder may name: the above, and what the evidence of some kinds has."""
PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_BRACES = re.compile(r"[{}]")


def _defaults(kind: str, **texts: str) -> list[Template]:
    return [
        Template(f"{kind}.{name}", 0, kind, None, told) for name, told in texts.items()
    ]


DEFAULTS: Mapping[str, Template] = {
    one.name: one
    for one in (
        *_defaults(
            "spike",
            check="Check the reading of {series} at {start}: {value} where {expected} "
            "was expected. If the source is wrong, correct it and load it again.",
            cause="Look for what began at {start} in {series}: a changed input, an "
            "event, a test. If it was planned, label the stretch as expected.",
        ),
        *_defaults(
            "dip",
            check="Check the reading of {series} at {start}: {value} where {expected} "
            "was expected. Ask first whether everything was counted.",
            cause="Look for what stopped or was switched off at {start} in {series}. "
            "If it was planned, label the stretch as expected.",
        ),
        *_defaults(
            "level_shift",
            confirm="Confirm that the new level of {series} since {start} is real: "
            "compare it with a second meter, or with the day before.",
            refit="If the new level of {series} stays, train again on data from "
            "{start} on; forecasts made from the old level will be off.",
        ),
        *_defaults(
            "trend_change",
            confirm="Hold {series} since {start} against what should drive it; a slow "
            "drift of one series alone is often its sensor.",
            refit="If the new trend of {series} is real, train again with the data "
            "since {start}.",
        ),
        *_defaults(
            "variance_change",
            sensor="Check the sensor and the averaging of {series} since {start}: it "
            "scatters differently although its level is as before.",
            margins="If the scatter is real, widen the limits that depend on {series}.",
        ),
        *_defaults(
            "flatline",
            sensor="{series} has not moved for {duration} since {start}: check that "
            "its sensor or its export is alive.",
            hold="Do not use {series} since {start} to train or to decide until it "
            "moves again.",
        ),
        *_defaults(
            "gap",
            source="Nothing came of {series} between {start} and {end}: check the "
            "source, then read the stretch again.",
            fill="If the values of {series} are lost, say in the fill rule what stands "
            "in their place.",
        ),
        *_defaults(
            "missing_data",
            source="Nothing came of {series} between {start} and {end}: check the "
            "source, then read the stretch again.",
        ),
        *_defaults(
            "pattern_break",
            calendar="Check whether {start} was a holiday or another special day of "
            "{series}; if so, label it as expected.",
            process="Compare the course of {series} since {start} with the same hours "
            "of the week before, and ask what ran differently.",
        ),
        Template(
            "look",
            0,
            ANY_KIND,
            None,
            "Look at {series} from {start} to {end} beside the series it depends on, "
            "and say in the feedback whether this was an anomaly.",
        ),
    )
}
_LAST = DEFAULTS["look"]


@dataclass(frozen=True)
class Ranked:
    """A template that can be used, with its place and the text it gives."""

    template: Template
    score: float
    text: str


def placeholders(text: str) -> set[str]:
    """Return the names in braces; other braces are faults (see ``is_sound``)."""
    return set(PLACEHOLDER.findall(text))


def is_sound(text: str) -> bool:
    """Return whether all braces of a text belong to placeholders."""
    return not _BRACES.search(PLACEHOLDER.sub("", text))


def unknown(text: str) -> list[str]:
    """Return the placeholders of a text that no anomaly could ever fill.

    Example:
        >>> unknown("{seres} read {value}")
        ['seres']
    """
    return sorted(placeholders(text) - set(KNOWN))


def score(tally: Tally, *, prior: float = _PRIOR) -> float:
    """Return the mean of the posterior that a template helps.

    Example:
        >>> score(Tally()), score(Tally(helped=4)), score(Tally(did_not_help=4))
        (0.5, 0.75, 0.25)
    """
    seen = tally.helped + tally.did_not_help
    return (STRENGTH * prior + tally.helped) / (STRENGTH + seen)


def score_of(template: Template, tally: Tally) -> float:
    """Return the place of a template; one for a tag begins a little higher."""
    return score(tally, prior=_PRIOR if template.tag is None else _PRIOR_OF_TAG)


def evidence_of(one: Sighted, *, unit: str | None, title: str) -> dict[str, Any]:
    """Return what placeholders may name: the anomaly, its series, and its evidence."""
    told = {
        "series": one.unique_id,
        "title": title,
        "unit": unit,
        "kind": one.kind.replace("_", " "),
        "severity": one.severity,
        "start": _instant(one.start_at),
        "end": _instant(one.end_at),
        "duration": _duration(one.end_at - one.start_at),
        "tags": ", ".join(one.tags) or None,
    }
    return {**one.evidence, **told}


def filled(text: str, evidence: Mapping[str, Any]) -> str | None:
    """Return a text with its placeholders filled, or None where one cannot be."""
    told = {name: _told(evidence.get(name)) for name in placeholders(text)}
    if None in told.values():
        return None
    return PLACEHOLDER.sub(lambda found: str(told[found[1]]), text)


def ranked(
    templates: Iterable[Template],
    tallies: Mapping[str, Tally],
    *,
    kind: str,
    tags: Sequence[str],
    evidence: Mapping[str, Any],
) -> list[Ranked]:
    """Return the templates that can be used for a kind of anomaly, the best first.

    Those for any kind come in where none of the kind can be used; never is it nothing.
    """
    of_kind: list[Ranked] = []
    of_any: list[Ranked] = []
    for one in templates:
        text = filled(one.text, evidence)
        usable = one.enabled and (one.tag is None or one.tag in tags)
        if usable and text is not None and one.kind in (kind, ANY_KIND):
            place = score_of(one, tallies.get(one.name, Tally()))
            wanted = of_kind if one.kind == kind else of_any
            wanted.append(Ranked(one, place, text))
    found = of_kind or of_any
    if not found:
        text = filled(_LAST.text, evidence) or _LAST.text
        found = [Ranked(_LAST, score_of(_LAST, tallies.get(_LAST.name, Tally())), text)]
    return sorted(found, key=lambda one: (-one.score, one.template.name))


def shelf(connection: Connection, *, tenant_id: int) -> dict[str, Template]:
    """Return a tenant's templates: its own, and the defaults it has not changed."""
    own = recommendations.templates(connection, tenant_id=tenant_id)
    return {**DEFAULTS, **own}


def give(
    connection: Connection,
    *,
    tenant_id: int,
    wanted: Sequence[tuple[str, Sighted, Mapping[str, Any]]],
    renamed: Mapping[str, str] = MappingProxyType({}),
    now: datetime,
) -> None:
    """Recommend what to do about incidents, up to three for each kind of anomaly.

    Args:
        connection: the transaction that stores the anomalies.
        tenant_id: whose they are.
        wanted: the incident's id, the anomaly, and its evidence by ``evidence_of``.
        renamed: headlines that name another anomaly than before, by incident; what
            nobody has applied yet is told of that one.
        now: when.
    """
    if not wanted:
        return
    templates = shelf(connection, tenant_id=tenant_id).values()
    tallies = recommendations.tallies(connection, tenant_id=tenant_id)
    items: list[dict[str, Any]] = []
    for incident_id, one, evidence in wanted:
        found = ranked(
            templates, tallies, kind=one.kind, tags=one.tags, evidence=evidence
        )
        items += [
            {
                "id": new_id("rec"),
                "incident_id": incident_id,
                "kind": one.kind,
                "template": best.template.name,
                "template_version": best.template.version,
                "rank": rank,
                "score": best.score,
                "text": best.text,
                "evidence": evidence,
            }
            for rank, best in enumerate(found[:_MOST], start=1)
        ]
    renewed = [
        one
        for one in items
        if headline_of(one["kind"], one["evidence"]["series"])
        == renamed.get(one["incident_id"])
    ]
    recommendations.renew(connection, tenant_id=tenant_id, items=renewed)
    recommendations.give(connection, tenant_id=tenant_id, items=items, now=now)


def worst_of_each_kind(found: Sequence[Sighted], *, named: str = "") -> list[Sighted]:
    """Return the worst anomaly of each kind, those of a headline before all others.

    Args:
        found: anomalies of an incident.
        named: the headline; of its kind, what it names is advised about.
    """
    worst: dict[str, Sighted] = {}
    for one in found:
        best = worst.setdefault(one.kind, one)
        if _weight(one, named) > _weight(best, named):
            worst[one.kind] = one
    return list(worst.values())


def _weight(one: Sighted, named: str) -> tuple[bool, int, float]:
    return headline(one) == named, SEVERITIES.index(one.severity), one.score


def _told(value: Any) -> str | None:
    if value is None or isinstance(value, dict | list):
        return None
    if isinstance(value, float):
        return f"{value:,.6g}"
    return str(value)


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")


def _duration(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    days, rest = divmod(minutes, 24 * 60)
    parts = ((days, "d"), (rest // 60, "h"), (rest % 60, "min"))
    return " ".join(f"{n} {unit}" for n, unit in parts if n) or "0 min"
