"""Pictures of results: a Vega-Lite specification, and the same drawn."""

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import vl_convert
from sqlalchemy import text

from tests.web import samples
from tests.web.caller import Caller

pytestmark = pytest.mark.servers

SVG, PNG = "image/svg+xml", "image/png"
UNIT = "MW of load"


@pytest.fixture
def stored(api) -> None:
    api.put("/v1/series/load", json={"unit": UNIT})
    api.post(
        "/v1/series/load/observations", json=samples.observations(240, spike_at=200)
    )


JOBS = {
    "forecast, stored": lambda: samples.forecast(series=["load"]),
    "forecast, inline": lambda: samples.forecast(data=samples.inline(96)),
    "analysis, stored": lambda: samples.analysis(series=["load"]),
    "analysis, inline": lambda: samples.analysis(
        data=samples.inline(240, spike_at=200)
    ),
    "change points": lambda: samples.analysis(
        data=samples.inline(240), mode="changepoints"
    ),
}


def ran(api: Caller, work, job: dict[str, Any]) -> str:
    """Run a job and return the address of its picture."""
    done = api.submit(**job)
    assert work.run(done["id"]) == "succeeded"
    return done["links"]["chart"]


def drawn_values(spec: dict[str, Any], field: str) -> list[Any]:
    """Return the values of a field over all layers."""
    return [
        row[field]
        for layer in spec["layer"]
        for row in layer["data"]["values"]
        if field in row
    ]


@pytest.mark.parametrize("name", JOBS)
def test_a_picture_compiles_to_svg_and_png(api, work, stored, name):
    link = ran(api, work, JOBS[name]())
    spec = api.get(link).json
    assert vl_convert.vegalite_to_vega(json.dumps(spec))["marks"]
    svg = api.get(link, headers={"Accept": SVG})
    assert svg.mimetype == SVG
    root = ET.fromstring(svg.text)
    assert root.tag.endswith("svg")
    paths = [one for one in root.iter() if one.tag.endswith("path")]
    assert any(len(one.get("d", "")) > 200 for one in paths), "no line is drawn"
    png = api.get(link, headers={"Accept": PNG})
    assert png.mimetype == PNG
    assert png.data.startswith(b"\x89PNG")
    assert len(png.data) > 5_000


def test_the_picture_of_a_forecast_holds_what_was_seen_and_what_is_expected(
    api, work, stored
):
    link = ran(api, work, samples.forecast(series=["load"]))
    spec = api.get(link).json
    (item,) = api.get(link.replace("/chart", "/result")).json["series"]
    means = [point["mean"] for point in item["points"]]
    assert drawn_values(spec, "mean")[-6:] == means
    lows, highs = drawn_values(spec, "low"), drawn_values(spec, "high")
    assert lows[-6:] == [point["q"]["0.1"] for point in item["points"]]
    assert highs[-6:] == [point["q"]["0.9"] for point in item["points"]]
    observed = dict(samples.hours(240, spike_at=200))
    assert drawn_values(spec, "value")[-5:] == list(observed.values())[-5:]
    assert UNIT in json.dumps(spec)
    assert spec["title"]["text"] == "Forecast of load"


def legend(spec: dict[str, Any]) -> list[str]:
    """Return the names of the legend, and check that each layer has one of them."""
    colors = [layer["encoding"]["color"] for layer in spec["layer"]]
    assert all(one["scale"] == colors[0]["scale"] for one in colors)
    assert [one["datum"] for one in colors] == colors[0]["scale"]["domain"]
    return colors[0]["scale"]["domain"]


def test_a_legend_names_the_intervals_the_forecast_and_what_was_observed(api, work):
    levels = [0.025, 0.1, 0.5, 0.9, 0.975]
    data = samples.inline(96)
    link = ran(api, work, samples.forecast(data=data, quantiles=levels))
    spec = api.get(link).json
    names = ["95 % interval", "80 % interval", "observed", "forecast"]
    assert legend(spec) == names
    svg = api.get(link, headers={"Accept": SVG}).text
    assert all(name in "".join(ET.fromstring(svg).itertext()) for name in names)


def test_quantiles_that_are_no_interval_are_named_as_they_are(api, work):
    job = samples.forecast(data=samples.inline(96), quantiles=[0.1, 0.95])
    assert legend(api.get(ran(api, work, job)).json)[0] == "10 % to 95 % quantile"


def test_the_legend_of_an_analysis_names_what_is_there(api, work, stored):
    spec = api.get(ran(api, work, samples.analysis(series=["load"]))).json
    assert legend(spec) == ["expected range", "observed", "anomaly"]


def test_the_picture_of_an_analysis_marks_the_anomaly(api, work, stored):
    link = ran(api, work, samples.analysis(series=["load"]))
    spec = api.get(link).json
    marked = [
        row["ts"]
        for layer in spec["layer"]
        if layer["mark"]["type"] == "point"
        for row in layer["data"]["values"]
    ]
    assert samples.hours(201)[-1][0] in marked
    assert UNIT in json.dumps(spec)


def test_a_picture_of_a_short_series_does_not_boast_of_its_error(api, work):
    link = ran(api, work, samples.forecast(data=samples.inline(4), horizon=2))
    assert "too short" in api.get(link).json["title"]["subtitle"]
    assert api.get(link, headers={"Accept": SVG}).status_code == 200


def test_one_series_of_several_is_drawn_by_name(api, work):
    data = samples.inline(96, unique_id="a") + samples.inline(96, unique_id="b, c")
    link = ran(api, work, samples.forecast(data=data))
    for name in ("a", "b, c"):
        spec = api.get(link, query_string={"series": name}).json
        assert spec["title"]["text"] == f"Forecast of {name}"
    absent = api.get(link, query_string={"series": "d"})
    assert absent.status_code == 404


def test_there_is_no_picture_before_success(api, work):
    job = api.submit(**samples.forecast(data=samples.inline(96)))
    assert api.get(job["links"]["chart"]).status_code == 409
    api.post(job["links"]["cancel"])
    assert api.get(job["links"]["chart"]).status_code == 409


def test_there_is_no_picture_of_an_echo(api, work):
    job = api.submit()
    assert work.run(job["id"]) == "succeeded"
    assert api.get(job["links"]["chart"]).status_code == 404


def test_a_series_that_was_deleted_since_is_still_drawn(
    api, work, stored, database, tenant_id
):
    link = ran(api, work, samples.forecast(series=["load"]))
    with database.system() as connection:
        connection.execute(
            text("UPDATE series SET key = 'gone' WHERE tenant_id = :id"),
            {"id": tenant_id},
        )
    assert api.get(link).status_code == 200
    assert api.get(link, headers={"Accept": SVG}).status_code == 200


def test_the_script_that_draws_is_served_from_here(app):
    answer = Caller(app, None).get("/assets/vega.js")
    assert answer.mimetype == "text/javascript"
    assert len(answer.data) > 100_000
    assert "vegaEmbed" in answer.text
    assert "max-age" in answer.headers["Cache-Control"]


def test_a_hostile_name_is_text_in_the_picture(api, work):
    name = "<script>alert(1)</script>&\"'"
    link = ran(api, work, samples.forecast(data=samples.inline(96, unique_id=name)))
    svg = api.get(link, headers={"Accept": SVG}).text
    assert "<script" not in svg
    assert name in "".join(ET.fromstring(svg).itertext())
