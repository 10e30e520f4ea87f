"""Asking only for what is newer than what is known, where a source can say so.

A connector that can has a method ``conditional`` beside those of the protocol. It puts
``etag`` and ``last_modified`` of ``Partition.part`` into that request.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

from ingest.contract import Partition
from ingest.exchange import Request

_HEADERS = {"etag": "etag", "last_modified": "last-modified"}


@runtime_checkable
class Conditional(Protocol):
    """A connector whose source may say that nothing has changed."""

    def conditional(self, partition: Partition) -> Request | None:
        """Return the plain request whose answer alone has all rows of a partition."""
        ...


def conditioned(partition: Partition, headers: Mapping[str, str]) -> Partition:
    """Return a partition that knows what an earlier answer was called.

    Example:
        >>> conditioned(Partition("p"), {"etag": '"v1"', "link": "x"}).part
        {'etag': '"v1"'}
    """
    known = {
        name: headers[header] for name, header in _HEADERS.items() if header in headers
    }
    part = {
        name: value for name, value in partition.part.items() if name not in _HEADERS
    }
    return replace(partition, part={**part, **known})
