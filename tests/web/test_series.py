"""Series: creating, changing, reading and listing them."""

import pytest

pytestmark = pytest.mark.servers

FIELDS = {
    "title": "Load of the east",
    "unit": "MW",
    "frequency": "1h",
    "timezone": "America/New_York",
    "tags": ["load", "pjm"],
}


def test_a_series_is_created_with_what_is_given_and_plain_defaults(api):
    plain = api.put("/v1/series/load.east", json={})
    assert plain.status_code == 200
    shown = plain.json
    assert (shown["key"], shown["title"]) == ("load.east", "load.east")
    assert (shown["unit"], shown["frequency"], shown["tags"]) == (None, None, [])
    assert shown["timezone"] == "UTC"
    assert (shown["count"], shown["first"], shown["last"]) == (0, None, None)
    assert shown["freshness_s"] is None
    full = api.put("/v1/series/load.west", json=FIELDS).json
    assert {name: full[name] for name in FIELDS} == FIELDS


def test_changing_one_field_leaves_the_others(api):
    api.put("/v1/series/a", json=FIELDS)
    changed = api.put("/v1/series/a", json={"unit": "GW"}).json
    assert changed["unit"] == "GW"
    assert changed["title"] == FIELDS["title"]
    assert changed["updated_at"] > changed["created_at"]
    cleared = api.put("/v1/series/a", json={"unit": None, "frequency": None}).json
    assert (cleared["unit"], cleared["frequency"]) == (None, None)
    assert cleared["tags"] == FIELDS["tags"]


def test_a_series_tells_how_far_it_reaches_and_how_old_it_is(api):
    body = {
        "observations": [
            {"ts": "2026-03-01T00:00:00Z", "value": 1},
            {"ts": "2026-03-01T02:00:00+01:00", "value": 2},
            {"ts": "2026-03-01T09:00:00Z", "value": None},
        ]
    }
    api.post("/v1/series/a/observations", json=body)
    shown = api.get("/v1/series/a").json
    assert shown["count"] == 2
    assert shown["first"] == "2026-03-01T00:00:00Z"
    assert shown["last"] == "2026-03-01T01:00:00Z"
    assert shown["freshness_s"] > 0
    for link in shown["links"].values():
        assert api.get(link).status_code == 200


def test_a_series_that_is_not_there_is_not_found(api):
    for path in ("", "/observations", "/forecasts", "/anomalies"):
        answer = api.get(f"/v1/series/nowhere{path}")
        assert answer.status_code == 404
        assert "nowhere" in answer.json["detail"]


@pytest.mark.parametrize(
    "key", ["A", "-a", ".a", "a b", "a" * 201, "ä", "a/b", "%E2%80%8B", "a%0A"]
)
def test_a_key_of_another_form_is_refused(api, key):
    answer = api.put(f"/v1/series/{key}", json={})
    assert answer.status_code in (404, 422)
    if answer.status_code == 422:
        assert answer.json["errors"][0]["pointer"] == "/key"
    assert api.get("/v1/series").json["items"] == []


@pytest.mark.parametrize("key", ["a", "0", "a.b_c:d-e", "a" * 200])
def test_a_key_of_the_promised_form_is_taken(api, key):
    assert api.put(f"/v1/series/{key}", json={}).json["key"] == key
    assert api.get(f"/v1/series/{key}").status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"tags": ["a", ""]}, "/tags/1"),
        ({"tags": "load"}, "/tags"),
        ({"title": ""}, "/title"),
        ({"unit": "x" * 51}, "/unit"),
        ({"colour": "red"}, "/colour"),
        ([], ""),
    ],
)
def test_a_bad_field_is_named(api, body, pointer):
    answer = api.put("/v1/series/a", json=body)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == pointer
    assert api.get("/v1/series/a").status_code == 404


@pytest.fixture
def five(api) -> list[str]:
    """Keys of five series, in order."""
    described = {
        "a": {"title": "Load", "tags": ["load"]},
        "b": {"title": "50% done", "tags": ["load", "x"]},
        "c_1": {"title": "wind"},
        "c-1": {"title": "LOADED", "tags": ["x"]},
        "d": {"title": "d"},
    }
    for key, fields in described.items():
        api.put(f"/v1/series/{key}", json=fields)
    return sorted(described)


def shown(api, **query) -> list[str]:
    answer = api.get("/v1/series", query_string=query)
    return [item["key"] for item in answer.json["items"]]


def test_series_are_found_by_tag_and_by_part_of_key_or_title(api, five):
    assert shown(api) == five
    assert shown(api, tag="load") == ["a", "b"]
    assert shown(api, tag="loa") == []
    assert shown(api, q="load") == ["a", "c-1"]
    assert shown(api, q="D") == ["a", "b", "c-1", "c_1", "d"]
    assert shown(api, q="c_") == ["c_1"]
    assert shown(api, q="%") == ["b"]
    assert shown(api, q="load", tag="x") == ["c-1"]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_walk_along_the_cursors_finds_each_series_once(api, five, limit):
    found, path = [], f"/v1/series?limit={limit}"
    while path:
        answer = api.get(path)
        found += [item["key"] for item in answer.json["items"]]
        link = answer.headers.get("Link")
        path = link and link.split(">")[0].removeprefix("<")
    assert found == five
