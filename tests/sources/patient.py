"""Reads partitions as jobs do: later again when told to wait, else in halves."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from ingest.contract import (
    Connector,
    Partition,
)
from ingest.exchange import RateLimited
from ingest.fetch import Exchange, Refused, exchanges
from tests.sources.plain import Plain

MOST_TRIES = 500
Values = dict[tuple[str, datetime], float]


def read_patiently(
    connector: Connector, partitions: Sequence[Partition], transport: Plain
) -> list[Exchange]:
    """Return the exchanges of all partitions, whatever has to be done again.

    Raises:
        Refused: a partition cannot be read.
    """
    waiting, found, tries = list(partitions), [], 0
    while waiting:
        partition = waiting.pop(0)
        tries += 1
        assert tries < MOST_TRIES, "a source that never gets through"
        try:
            found += list(
                exchanges(
                    connector, partition, transport=transport, pause=lambda _s: None
                )
            )
        except RateLimited:
            waiting.insert(0, partition)
        except Refused as refused:
            if refused.verdict.cls != "split_window":
                raise
            waiting[:0] = halves(partition)
    return found


def halves(partition: Partition) -> tuple[Partition, Partition]:
    """Cut a partition in the middle."""
    middle = partition.start + (partition.end - partition.start) / 2
    return (
        replace(partition, id=f"{partition.id}a", end=middle),
        replace(partition, id=f"{partition.id}b", start=middle),
    )


def values_of(found: Sequence[Exchange]) -> Values:
    """Return the values of all batches; no key and time may come twice."""
    values: Values = {}
    for exchange in found:
        for batch in exchange.page.batches:
            assert not batch.rejected
            for row in batch.rows.to_pylist():
                key = (row["series_key"], row["ts"])
                assert key not in values, key
                values[key] = row["value"]
    return values
