"""Answers as they came over the wire, what a connector makes of them, and of faults."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.contract import (
    Page,
)
from ingest.exchange import Answer
from ingest.fetch import Exchange
from tests.sources.faults import FAULTS
from tests.sources.server import Served

WIRE = Path(__file__).with_name("wire")
FETCHED = datetime(2026, 1, 12, 6, tzinfo=UTC)


def sample(
    path: str, status: int = 200, media_type: str = "application/json", **headers: str
) -> Answer:
    """Return a sample as an answer that came whole."""
    named = {"content-type": media_type, **headers}
    return Answer(status, named, FETCHED, (WIRE / path).read_bytes())


def made(body: bytes | str, status: int = 200, **headers: str) -> Answer:
    """Return an answer of some bytes."""
    content = body.encode() if isinstance(body, str) else body
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, named, FETCHED, content)


def rows(pages: Iterable[Page | Exchange]) -> list[tuple[Any, ...]]:
    """Return (key, start, value, when issued) of all rows, in order."""
    return sorted(_rows(pages), key=str)


def _rows(pages: Iterable[Page | Exchange]) -> Iterator[tuple[Any, ...]]:
    for one in pages:
        page = one.page if isinstance(one, Exchange) else one
        for batch in page.batches:
            batch.rows.validate(full=True)
            for row in batch.rows.to_pylist():
                yield row["series_key"], row["ts"], row["value"], row.get("issued_at")


def counted(page: Page) -> tuple[str, int, int, int]:
    """Return the class of a page, and its good, missing and bad rows."""
    batches = list(page.batches)
    return (
        page.verdict.cls,
        sum(batch.rows.num_rows for batch in batches),
        sum(batch.missing for batch in batches),
        sum(len(batch.rejected) for batch in batches),
    )


def codes(page: Page) -> list[tuple[int, str]]:
    """Return the numbers and codes of the bad rows."""
    return [(bad.row, bad.code) for batch in page.batches for bad in batch.rejected]


def after_each_fault(
    served: Served, read: Callable[[], list[tuple[Any, ...]]]
) -> Iterator[tuple[int, str, list[tuple[Any, ...]]]]:
    """Yield what is read when one call fails: each call once, in each way."""
    served.plan.by_call, served.plan.calls = {}, 0
    read()
    calls = served.plan.calls
    for call in range(1, calls + 1):
        for fault in FAULTS:
            served.plan.by_call, served.plan.calls = {call: fault}, 0
            yield call, fault, read()
            assert served.plan.calls > calls or fault == "slow"
