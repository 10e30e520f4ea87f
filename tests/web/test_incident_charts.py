"""Pictures of incidents: what was observed, with the anomalous stretches marked."""

from datetime import datetime, timedelta

import pytest
import vl_convert

from db import series as series_rows
from tasks.grouping import Grouping
from tasks.incidents import settle
from tests.db.rows import AT
from tests.tasks.sightings import anomaly
from web import charts

pytestmark = pytest.mark.servers

PAST = 300
DAY = 24


@pytest.fixture
def observe(api):
    """Store hours of a series from 300 before the first possible anomaly on."""

    def run(key: str, hours: int = PAST + 100) -> None:
        rows = [
            {
                "ts": (AT + timedelta(hours=at - PAST)).isoformat(),
                "value": float(at % DAY),
            }
            for at in range(hours)
        ]
        api.put(f"/v1/series/{key}", json={"unit": "MW", "tags": ["load"]})
        body = {"observations": rows}
        assert api.post(f"/v1/series/{key}/observations", json=body).status_code == 200

    return run


@pytest.fixture
def happen(database, tenant_id):
    """Let a worker store anomalies of series and return the address of a picture."""

    def run(**found) -> str:
        with database.tenant(tenant_id) as connection:
            ids = series_rows.ids(
                connection, tenant_id=tenant_id, keys=sorted(found), now=AT
            )
            settled = settle(
                connection,
                tenant_id=tenant_id,
                found={ids[key]: group for key, group in found.items()},
                seen={},
                grouping=Grouping(),
                now=AT,
            )
        (made,) = settled.opened
        return f"/v1/incidents/{made}/chart"

    return run


def layers(spec: dict) -> dict[str, list[dict]]:
    """Return the values that are drawn, by mark."""
    return {one["mark"]["type"]: one["data"]["values"] for one in spec["layer"]}


def test_the_stretch_is_marked_among_so_many_steps_around_it(api, observe, happen):
    observe("east")
    spec = api.get(happen(east=[anomaly(5, hours=3)])).json
    drawn = layers(spec)
    assert len(drawn["line"]) == 120 + 3 + 48
    assert [row["value"] for row in drawn["point"]] == [
        float((PAST + at) % DAY) for at in (5, 6, 7)
    ]
    (span,) = drawn["rect"]
    assert (span["ts"], span["end"]) == tuple(
        (AT + timedelta(hours=at)).isoformat() for at in (5, 8)
    )
    assert spec["title"]["subtitle"] == "171 observations, 3 of them in an anomaly"
    assert spec["layer"][1]["encoding"]["y"]["title"] == "MW"


def test_what_was_expected_and_the_bound_are_drawn_where_the_evidence_has_them(
    api, observe, happen
):
    observe("east")
    known = {"rule": "outside_bounds", "expected": 5, "threshold": 7.5, "value": 9.0}
    other = {"rule": "repeated_value", "expected": 3.0, "threshold": 40.0}
    found = [anomaly(5, evidence=known), anomaly(6, evidence=other), anomaly(7)]
    link = happen(east=found)
    spec = api.get(link).json
    rules = {
        layer["encoding"]["y"]["field"]: layer["data"]["values"]
        for layer in spec["layer"]
        if layer["mark"]["type"] == "rule"
    }
    assert sorted(row["expected"] for row in rules["expected"]) == [3.0, 5.0]
    assert [row["bound"] for row in rules["bound"]] == [7.5]
    middle = AT + timedelta(hours=5.5)
    (bound,) = rules["bound"]
    start, end = (datetime.fromisoformat(bound[name]) for name in ("ts", "end"))
    assert start < AT + timedelta(hours=5) < AT + timedelta(hours=6) < end
    assert start + (end - start) / 2 == middle
    drawn = api.get(link, headers={"Accept": "image/svg+xml"}).text
    assert all(name in drawn for name in ("expected", "bound", "observed"))


def test_stretches_that_touch_are_marked_as_one(api, observe, happen):
    observe("east")
    found = [anomaly(0, hours=2), anomaly(2, kind="dip"), anomaly(1, kind="gap")]
    (span,) = layers(api.get(happen(east=found)).json)["rect"]
    assert span["end"] == (AT + timedelta(hours=3)).isoformat()


def test_each_series_has_a_picture_of_its_own_anomalies(api, observe, happen):
    for key in ("east", "west"):
        observe(key)
    link = happen(east=[anomaly(0)], west=[anomaly(0, hours=2)])
    spans = {
        key: layers(api.get(f"{link}?series={key}").json)["rect"]
        for key in ("east", "west")
    }
    assert spans["east"] != spans["west"]
    assert api.get(link).json["title"]["text"] == "east"
    missing = api.get(f"{link}?series=north")
    assert (missing.status_code, "north" in missing.json["detail"]) == (404, True)


def test_a_series_of_which_nothing_is_stored_has_its_stretch_alone(api, happen):
    drawn = layers(api.get(happen(east=[anomaly(0)])).json)
    assert list(drawn) == ["rect"]


def test_a_row_of_a_far_year_spoils_no_picture(api, observe, happen):
    observe("east")
    body = {"observations": [{"ts": "9990-01-01T00:00:00Z", "value": 1.0}]}
    assert api.post("/v1/series/east/observations", json=body).status_code == 200
    assert "line" in layers(api.get(happen(east=[anomaly(5)])).json)


def test_a_long_incident_ends_its_picture_and_says_so(
    api, observe, happen, monkeypatch
):
    monkeypatch.setattr(charts, "MOST_POINTS", 150)
    observe("east")
    spec = api.get(happen(east=[anomaly(0, hours=90)])).json
    assert len(layers(spec)["line"]) == 150
    assert "the incident may not" in spec["title"]["subtitle"]


def test_a_picture_compiles_and_is_drawn_where_accept_asks(api, observe, happen):
    observe("east")
    link = happen(east=[anomaly(0)])
    assert vl_convert.vegalite_to_svg(api.get(link).json).startswith("<svg")
    drawn = api.get(link, headers={"Accept": "image/svg+xml"})
    assert drawn.mimetype == "image/svg+xml"
    assert "east" in drawn.text


def test_another_tenant_has_no_picture(api, other_api, observe, happen):
    observe("east")
    link = happen(east=[anomaly(0)])
    assert other_api.get(link).status_code == 404
    assert other_api.get("/v1/incidents/inc_x/chart").status_code == 404
