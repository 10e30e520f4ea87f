"""What the tests of http_table share."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

from ingest.connectors.http_table import HttpTable, HttpTableConfig
from ingest.contract import Partition
from ingest.paging import Paging
from ingest.table_layout import TableLayout
from tests.ingest.wire_samples import (
    codes,
    rows,
)
from tests.sources.truth import DAY

START = datetime(2026, 1, 10, tzinfo=UTC)


WINDOW = Partition("day", START, START + DAY)


KEYED = TableLayout(series_columns=("series",))


ONE = TableLayout(series_key="x", ts_column="t", value_columns=("v",))


GERMAN = TableLayout(
    series_key="load",
    ts_column="Zeit",
    value_columns=("Wert",),
    time_format="%d.%m.%Y %H:%M",
    timezone="Europe/Berlin",
    delimiter=";",
    decimal=",",
    thousands=".",
)


FRENCH = TableLayout(
    series_columns=("Région",), ts_column=None, value_columns=("MW",), delimiter=";"
)


CURSOR = Paging(style="cursor", param="after", next_path="next_cursor")


def table(form="csv", layout=KEYED, **more):
    url = "https://load.example.org/rows"
    return HttpTable(HttpTableConfig(base_url=url, format=form, layout=layout, **more))


def read(connector, answer, **params):
    (request,) = connector.requests(WINDOW)
    request = replace(request, params=(*request.params, *params.items()))
    return connector.read(request, answer, WINDOW)


def loaded(page):
    """Return good rows, bad ones and repeats, as the load counts them: slowly."""
    said = Counter((key, ts, value) for key, ts, value, _ in rows([page]))
    places = Counter((key, ts) for key, ts, _ in said)
    fighting = [row for row in said if places[row[0], row[1]] > 1]
    bad = len(codes(page)) + sum(said[row] for row in fighting)
    repeats = sum(said.values()) - len(said)
    return len(said) - len(fighting), bad, repeats


PAGED = {
    "offset": Paging(style="offset", param="offset", total_path="meta.total"),
    "page": Paging(style="page", param="page", first=1, size=700),
    "cursor": Paging(style="cursor", param="after", next_path="meta.next"),
    "link": Paging(style="link", size=900),
}


ZONES = TableLayout(series_columns=("zone",), ts_column="t", value_columns=("v",))


def served_table(served, style, **more):
    config = HttpTableConfig(
        base_url=f"{served.url}/{style}",
        layout=ZONES,
        **{"rows_path": "data", "paging": PAGED.get(style, Paging()), **more},
    )
    return HttpTable(config)


def told(truth, as_of=None):
    return sorted(
        (
            (name.lower(), ts, value, None)
            for (name, ts), value in truth.values(as_of).items()
        ),
        key=str,
    )
