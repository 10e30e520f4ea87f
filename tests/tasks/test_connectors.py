"""The shelf as the door shows it: every connector can be filled in by a form."""

from datetime import UTC, datetime, timedelta

import pytest
from jsonschema import Draft202012Validator

from ingest.connectors import connectors as shelved
from ingest.contract import AsksWindow
from tasks import connectors
from tasks.errors import NotFound
from tests.tasks.shelf import shelf

__all__ = ["shelf"]


@pytest.mark.parametrize("name", connectors.names())
def test_a_form_can_be_made_of_every_config(name):
    told = connectors.described(name)
    assert told["title"]
    assert told["licence"]
    schema = told["config"]
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    for field, described in schema["properties"].items():
        assert described.get("description"), field
        assert described.get("title") or "$ref" in described, field


@pytest.mark.usefixtures("shelf")
def test_a_connector_is_described_whole():
    told = connectors.described("keyed")
    assert told["secrets"] == [
        {"name": "api_key", "title": "API key", "required": True},
        {"name": "user", "title": "User", "required": False},
    ]
    assert told["limits"] == {"per_second": 2.0, "burst": 4.0, "per_day": 1_000.0}
    assert told["config"]["required"] == ["regions"]
    told = connectors.described("open")
    assert told["tiers"] == [{"name": "hot", "back_h": 240.0, "every_h": 24.0}]
    assert (told["lag_h"], told["enabled"]) == (6.0, True)
    assert not connectors.described("wary")["enabled"]
    with pytest.raises(NotFound, match="keyed, open, wary"):
        connectors.described("none")


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize(
    ("name", "config", "credential", "pointers"),
    [
        ("open", {"regions": ["a"]}, None, []),
        ("open", {"regions": ["a"]}, ("c", ["x"]), []),
        ("open", {}, None, ["/config/regions"]),
        ("open", {"regions": []}, None, ["/config/regions"]),
        ("open", {"regions": ["a", 1]}, None, ["/config/regions/1"]),
        ("open", {"regions": ["a"], "first": "x"}, None, ["/config/first"]),
        ("open", {"regions": ["a"], "colour": 1}, None, ["/config/colour"]),
        ("keyed", {"regions": ["a"]}, None, ["/credential"]),
        ("keyed", {"regions": ["a"]}, ("c", ["user"]), ["/credential"]),
        ("keyed", {"regions": ["a"]}, ("c", ["api_key"]), []),
        ("keyed", {}, None, ["/config/regions", "/credential"]),
        ("none", {}, None, ["/connector"]),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(name, config, credential, pointers):
    found = connectors.faults(name, config=config, credential=credential)
    assert [one.pointer for one in found] == pointers


def test_what_cannot_be_asked_for_a_window_is_read_in_one_go():
    whole = set()
    for name, kind in shelved().items():
        made = kind(kind.example().config)
        if isinstance(made, AsksWindow) and not made.asks_window:
            whole.add(name)
            start = datetime(2026, 1, 1, tzinfo=UTC)
            assert len(made.plan(start, start + timedelta(days=400))) == 1
    assert whole == {"data_gov_in", "singer_tap", "web_table"}


def test_the_zone_of_a_table_that_there_is_not_is_named_as_the_field():
    layout = {"series_key": "a", "timezone": "Mars"}
    config = {"base_url": "https://a.example/x", "format": "csv", "layout": layout}
    (fault,) = connectors.faults("http_table", config=config, credential=None)
    assert fault.pointer == "/config/layout/timezone"
    assert "'Mars' is not a time zone" in fault.detail
