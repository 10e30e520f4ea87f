"""The rows held for the hour that comes twice are bounded in number."""

import pytest

from ingest import autumn
from ingest.errors import InvalidFile
from tests.ingest.reading import read


def test_more_ambiguous_times_than_memory_allows_are_refused(monkeypatch):
    monkeypatch.setattr(autumn, "_MOST", 2)
    content = b"ts,value\n" + b"2026-11-01T01:00,1\n" * 3
    with pytest.raises(InvalidFile, match="write the times with their offset"):
        read(content, series_key="load", timezone="America/New_York")
