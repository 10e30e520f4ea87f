"""Each connector against each trap of the wire; what is where says ``traps.py``."""

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ingest.connectors import connectors
from ingest.exchange import Answer, RateLimited, Request, Unreachable
from ingest.fetch import Refused, exchanges
from tests.contracts.traps import ROWS, TRAPS, Changed, Long, Played, Test

INGEST = Path(__file__).parents[1] / "ingest"
HTML = b"<!DOCTYPE html><html><body>Will be right back</body></html>"
PAGE = {"content-type": "text/html; charset=utf-8"}


def said(answer: Answer, status: int, body: bytes, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return replace(
        answer, status=status, headers=named, content=body, path=None, sha256=""
    )


def half(answer: Answer) -> Answer:
    body = answer.body[: len(answer.body) // 2]
    return replace(answer, content=body, path=None, whole=False, sha256="")


FAULTS: dict[str, Sequence[Callable[[Answer], Answer]]] = {
    "429": [
        lambda answer: said(answer, 429, b"Too Many Requests", retry_after="1"),
        lambda answer: said(answer, 429, b"Too Many Requests", retry_after="3600"),
        lambda answer: said(answer, 429, b""),
    ],
    "5xx": [
        lambda answer: replace(said(answer, 500, HTML), headers=PAGE),
        lambda answer: said(answer, 502, b""),
        lambda answer: said(answer, 503, b"Service Unavailable"),
        lambda answer: replace(said(answer, 504, HTML), headers=PAGE),
    ],
    "html": [lambda answer: replace(said(answer, 200, HTML), headers=PAGE)],
    "truncation": [half],
}


@dataclass
class Playing:
    """Answers a request with the next of a recorded exchange, and always with that.

    Attributes:
        answers: what is left of the exchange.
        fault: makes of the right answer what comes instead.
        at: at which call, counted from 1.
    """

    answers: list[Answer]
    fault: Callable[[Answer], Answer] | None = None
    at: int = 0
    asked: list[Request] = field(default_factory=list)
    known: dict[str, Answer] = field(default_factory=dict)

    def send(self, request: Request) -> Answer:
        self.asked.append(request)
        if request.fingerprint not in self.known:
            self.known[request.fingerprint] = self.answers.pop(0)
        right = self.known[request.fingerprint]
        if self.fault is not None and len(self.asked) == self.at:
            return self.fault(right)
        return right


@dataclass
class Resumed:
    """Serves what was answered before a crash from the archive, the rest live."""

    kept: dict[str, Answer]
    live: Playing

    def send(self, request: Request) -> Answer:
        if request.fingerprint not in self.kept:
            self.kept[request.fingerprint] = self.live.send(request)
        return self.kept[request.fingerprint]


@dataclass(frozen=True)
class Got:
    """What was read: rows, and how many were missing and how many bad."""

    rows: list[dict]
    missing: int
    bad: int


def read(kind, transport) -> Got:
    """Read a connector's example; a long rest begins the partition anew."""
    example = kind.example()
    for _ in range(2):
        rows, missing, bad = [], 0, 0
        try:
            for found in exchanges(
                kind(example.config),
                example.partition,
                transport=transport,
                pause=lambda _seconds: None,
            ):
                for batch in found.page.batches:
                    rows += batch.rows.to_pylist()
                    missing += batch.missing
                    bad += len(batch.rejected)
        except RateLimited:
            continue
        return Got(rows, missing, bad)
    raise AssertionError("it rests twice")


def cells(*traps: str) -> list:
    """Return (connector, trap) of all cells that are played here."""
    return [
        pytest.param(name, trap, id=f"{name}-{trap}")
        for name, row in ROWS.items()
        for trap in traps
        if isinstance(row.cells()[trap], Played | Changed)
    ]


def edited(name: str, trap: str) -> tuple[Got, Playing, Changed]:
    """Return what is read as recorded, the changed exchange, and the change."""
    kind = connectors()[name]
    answers = kind.example().answers
    change = ROWS[name].cells()[trap]
    assert isinstance(change, Changed)
    new = [
        replace(
            answer,
            content=answer.body.replace(change.old, change.new),
            path=None,
            sha256="",
        )
        for answer in answers
    ]
    assert [one.body for one in new] != [one.body for one in answers]
    return read(kind, Playing(list(answers))), Playing(new), change


def test_every_connector_has_a_row_and_every_row_all_traps():
    assert set(ROWS) == set(connectors())
    for name, row in ROWS.items():
        assert list(row.cells()) == list(TRAPS), name


def test_every_test_that_is_named_exists():
    named = [
        (cell.file, f"test_{cell.name}")
        for row in ROWS.values()
        for cell in row.cells().values()
        if isinstance(cell, Test)
    ]
    assert len(named) > 10
    for file, name in named:
        tree = ast.parse((INGEST / f"{file}.py").read_text())
        there = {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}
        assert name in there, file


def test_a_cell_without_a_test_says_why():
    for name, row in ROWS.items():
        for trap, cell in row.cells().items():
            reason = getattr(cell, "reason", "") or type(cell) in (
                *(Played, Changed, Long, Test),
            )
            assert reason, (name, trap)


@pytest.mark.parametrize(("name", "trap"), cells(*FAULTS))
def test_a_fault_at_any_call_changes_no_row(name, trap):
    kind = connectors()[name]
    answers = kind.example().answers
    whole = read(kind, Playing(list(answers)))
    assert whole.rows
    for fault in FAULTS[trap]:
        for at in range(1, len(answers) + 1):
            playing = Playing(list(answers), fault, at)
            assert read(kind, playing) == whole, at
            assert len(playing.asked) > len(answers), at


@pytest.mark.parametrize(("name", "trap"), cells("missing"))
def test_a_mark_of_a_gap_becomes_no_value(name, trap):
    whole, playing, change = edited(name, trap)
    found = read(connectors()[name], playing)
    assert all(row in whole.rows for row in found.rows)
    assert len(found.rows) == len(whole.rows) - change.rows
    assert found.missing == whole.missing + change.rows
    assert found.bad == whole.bad


@pytest.mark.parametrize(("name", "trap"), cells("drift"))
def test_a_name_that_is_gone_is_told_and_gives_no_rows(name, trap):
    _, playing, _ = edited(name, trap)
    with pytest.raises(Refused) as refused:
        read(connectors()[name], playing)
    assert refused.value.verdict.cls == "schema_drift"
    assert refused.value.verdict.detail


@pytest.mark.parametrize(("name", "trap"), cells("revision"))
def test_another_value_changes_its_row_and_nothing_else(name, trap):
    whole, playing, change = edited(name, trap)
    found = read(connectors()[name], playing)
    assert (found.missing, found.bad) == (whole.missing, whole.bad)
    pairs = list(zip(found.rows, whole.rows, strict=True))
    changed = [(new, old) for new, old in pairs if new != old]
    assert len(changed) == change.rows
    for new, old in changed:
        assert {**new, "value": old["value"]} == old


@pytest.mark.parametrize(("name", "trap"), cells("resume"))
def test_after_a_crash_at_any_call_only_the_rest_is_asked(name, trap):
    kind = connectors()[name]
    answers = kind.example().answers
    whole = read(kind, Playing(list(answers)))

    def dies(_answer: Answer) -> Answer:
        raise Crash

    for at in range(1, len(answers) + 1):
        live = Playing(list(answers), dies, at)
        resumed = Resumed({}, live)
        with pytest.raises(Crash):
            read(kind, resumed)
        assert read(kind, resumed) == whole
        assert len(live.asked) == len(answers) + 1
        assert read(kind, resumed) == whole  # a replay asks nobody
        assert len(live.asked) == len(answers) + 1


class Crash(Exception):
    """The worker is gone."""


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_source_that_stays_away_is_given_up_and_gives_no_rows(name):
    class Away:
        def send(self, _request: Request) -> Answer:
            raise Unreachable("nobody is there")

    with pytest.raises(Refused, match="transient: nobody is there"):
        read(connectors()[name], Away())
