"""Questions to FRED, and what each one has to remember when its answer comes."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.contract import Partition
from ingest.exchange import Request, secret
from ingest.fred_series import FredConfig
from ingest.fred_vintages import Run

MOST_ROWS = 100_000
MOST_DATES = 10_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_TYPES = {"none": None, "initial": 4, "all": 1}

Place = Mapping[str, Any]


def days(partition: Partition) -> tuple[str | None, str | None] | None:
    """Return the first and the last date in a partition; None if there is none.

    Example:
        >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> days(Partition("x", noon, datetime(2026, 1, 3, tzinfo=UTC)))
        ('2026-01-02', '2026-01-02')
    """
    start, end = partition.start, partition.end
    first = None if start is None else _EPOCH.date() - (_EPOCH - start) // _DAY * _DAY
    last = None if end is None else _EPOCH.date() - ((_EPOCH - end) // _DAY + 1) * _DAY
    if first is not None and last is not None and last < first:
        return None
    return (
        None if first is None else first.isoformat(),
        None if last is None else last.isoformat(),
    )


class Questions:
    """Makes the requests of one source; the key is part of the query, as FRED wants."""

    def __init__(self, config: FredConfig) -> None:
        self._config = config
        self._url = config.base_url.rstrip("/")

    def series(self, name: str) -> Request:
        """Ask what a series is."""
        return self._ask("series", {"series_id": name}, {"series": name})

    def members(self) -> Request:
        """Ask what the series of the release are."""
        asked = {"release_id": self._config.release_id, "limit": 1_000}
        return self._ask("release/series", asked, {})

    def dates(self, place: Place) -> Request:
        """Ask for all vintage dates of a series, from the offset of the place."""
        asked = {
            "series_id": place["series"],
            "realtime_start": "1776-07-04",
            "realtime_end": "9999-12-31",
            "sort_order": "asc",
            "limit": MOST_DATES,
            "offset": place.get("dates", 0),
        }
        return self._ask("series/vintagedates", asked, place)

    def run(self, partition: Partition, place: Place, run: Run) -> Request:
        """Ask for the rows of some vintages."""
        window = {"first": run.first, "overlaps": run.overlaps, "true": True}
        return self.rows(partition, {**place, "window": window, "until": run.last})

    def rows(self, partition: Partition, place: Place) -> Request:
        """Ask for the rows of a series, from the offset of the place."""
        config = self._config
        first, last = days(partition) or (None, None)
        asked = {
            "series_id": place["series"],
            "observation_start": first,
            "observation_end": last,
            "realtime_start": place.get("window", {}).get("first"),
            "realtime_end": place.get("until"),
            "output_type": _TYPES[config.vintages],
            "units": None if config.units == "lin" else config.units,
            "frequency": config.frequency,
            "aggregation_method": config.aggregation if config.frequency else None,
            "sort_order": "asc",
            "limit": MOST_ROWS,
            "offset": place.get("offset", 0),
        }
        return self._ask("series/observations", asked, place)

    def release(self, cursor: str = "") -> Request:
        """Ask for a page of the rows of all series of the release."""
        asked = {
            "release_id": self._config.release_id,
            "format": "json",
            "limit": MOST_ROWS,
            "next_cursor": cursor or None,
        }
        headers = {"Authorization": f"Bearer {secret('api_key')}"}
        url = f"{self._url}/v2/release/observations"
        return Request(url, _params(asked), headers)

    def _ask(self, below: str, asked: Mapping[str, Any], place: Place) -> Request:
        known = {"api_key": secret("api_key"), "file_type": "json"}
        params = _params({**asked, **known})
        return Request(f"{self._url}/{below}", params, place=dict(place))


def _params(asked: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(cell)) for name, cell in asked.items() if cell is not None)
