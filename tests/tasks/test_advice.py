"""Advice is never empty, says only what the evidence says, and learns from outcomes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.analyse import AnalysisOptions, analyse
from analysis.levels import Levels
from analysis.stream import Stream
from analysis.verdicts import anomaly_of
from db import recommendations
from db.recommendations import Tally, Template
from tasks import advice
from tasks.advice import DEFAULTS, filled, is_sound, placeholders, ranked, score
from tasks.analysis_report import stored_evidence
from tasks.incidents import shown_by_id
from tests.db import rows
from tests.db.rows import AT
from tests.tasks.sightings import anomaly, listed, load, store

__all__ = ["listed", "load", "store"]

KINDS = (
    *("spike", "dip", "level_shift", "trend_change", "variance_change", "flatline"),
    *("gap", "pattern_break", "missing_data"),
)
BARE = {"series": "east", "start": "1", "end": "2", "duration": "1 h"}


@pytest.mark.parametrize("kind", [*KINDS, "something_new"])
def test_there_is_advice_for_every_kind_even_without_evidence(kind):
    found = ranked(DEFAULTS.values(), {}, kind=kind, tags=(), evidence=BARE)
    assert found
    assert not [one for one in found if "{" in one.text]


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_a_default_of_each_kind(kind):
    assert [one for one in DEFAULTS.values() if one.kind == kind]


def test_there_is_advice_when_a_tenant_has_disabled_everything():
    off = [
        Template(one.name, 1, one.kind, None, one.text, enabled=False)
        for one in DEFAULTS.values()
    ]
    (found,) = ranked(off, {}, kind="spike", tags=(), evidence=BARE)
    assert found.text.startswith("Look at east from 1 to 2")


def test_a_text_is_filled_from_the_evidence_or_not_used():
    assert filled("{value} of {series}", {"value": 1 / 3, "series": "a"}) == (
        "0.333333 of a"
    )
    assert filled("{value}", {}) is None
    assert filled("{value}", {"value": None}) is None
    assert filled("{value}", {"value": [1]}) is None
    assert filled("nothing", {}) == "nothing"
    assert filled("{value}", {"value": 15_210.44}) == "15,210.4"


def test_what_is_filled_in_is_not_filled_again():
    assert filled("{series}", {"series": "{value}", "value": 1}) == "{value}"


def test_braces_that_are_no_placeholders_are_faults():
    assert all(is_sound(one.text) for one in DEFAULTS.values())
    for text in ("{", "}", "{a b}", "{series.__class__}", "{0}", "{series!r}"):
        assert not is_sound(text), text
    assert placeholders("{a} and {b_1} and {a}") == {"a", "b_1"}


counts = st.integers(0, 1_000)


@given(counts, counts)
def test_a_place_is_a_share_that_rises_with_help_and_falls_without(helped, not_):
    place = score(Tally(helped, not_))
    assert 0 < place < 1
    assert score(Tally(helped + 1, not_)) > place > score(Tally(helped, not_ + 1))
    assert score(Tally(helped, not_, unknown=9)) == place


def test_one_outcome_changes_the_order_and_many_outweigh_the_prior():
    def order(**tallies) -> list[str]:
        told = {f"spike.{name}": tally for name, tally in tallies.items()}
        evidence = {**BARE, "value": 1.0, "expected": 2.0}
        found = ranked(
            DEFAULTS.values(), told, kind="spike", tags=(), evidence=evidence
        )
        return [one.template.name.removeprefix("spike.") for one in found]

    assert order() == ["cause", "check"]
    assert order(check=Tally(helped=1)) == ["check", "cause"]
    assert order(check=Tally(helped=1), cause=Tally(helped=2)) == ["cause", "check"]
    assert order(check=Tally(9, 1), cause=Tally(3, 0)) == ["check", "cause"]


def test_what_is_for_a_tag_goes_first_and_to_it_alone():
    own = Template("mine", 1, "spike", "wine", "Taste {series}.")
    texts = [*DEFAULTS.values(), own]

    def best(*tags: str) -> str:
        found = ranked(texts, {}, kind="spike", tags=tags, evidence=BARE)
        return found[0].template.name

    assert best("wine") == "mine"
    assert best("load") == "spike.cause"


@pytest.mark.servers
def test_an_incident_gets_advice_for_each_kind_once(
    database, tenant_id, load, store, listed
):
    east = load("east", "load")
    store({east: [anomaly(0)]})
    store({east: [anomaly(0, hours=2)]})
    store({east: [anomaly(1, kind="dip", evidence={"value": 1, "expected": 4.5})]})
    (one,) = listed()
    with database.tenant(tenant_id) as connection:
        given_ = recommendations.of_incidents(
            connection, tenant_id=tenant_id, ids=[one.id]
        )[one.id]
    assert sorted(one.template for one in given_) == [
        *("dip.cause", "dip.check", "spike.cause")
    ]
    dip = next(one for one in given_ if one.template == "dip.check")
    assert "1 where 4.5 was expected" in dip.text
    assert dip.evidence["kind"] == "dip"
    assert (dip.rank, dip.score) == (2, 0.5)


@pytest.mark.servers
def test_outcomes_change_what_the_next_incident_is_advised(
    database, tenant_id, load, store, listed
):
    east, west = load("east"), load("west")
    evidence = {"value": 9.0, "expected": 4.0}
    store({east: [anomaly(0, evidence=evidence)]})

    def order(incident_id: str) -> list[tuple[str, float]]:
        with database.tenant(tenant_id) as connection:
            found = recommendations.of_incidents(
                connection, tenant_id=tenant_id, ids=[incident_id]
            )[incident_id]
        return [(one.template, round(one.score, 3)) for one in found]

    (first,) = listed()
    assert order(first.id) == [("spike.cause", 0.5), ("spike.check", 0.5)]
    rows.change(
        database,
        "UPDATE recommendations SET applied_at = now(), outcome = CASE template "
        "WHEN 'spike.check' THEN 'helped' ELSE 'did_not_help' END",
    )
    store({west: [anomaly(0, evidence=evidence)]})
    second = next(one for one in listed() if one.id != first.id)
    assert order(second.id) == [("spike.check", 0.6), ("spike.cause", 0.4)]


@pytest.mark.servers
def test_a_template_has_versions_and_the_newest_counts(database, tenant_id):
    for words in ("first {series}", "second {series}"):
        with database.tenant(tenant_id) as connection:
            recommendations.put_template(
                connection,
                tenant_id=tenant_id,
                new=Template("spike.check", 0, "spike", None, words),
                now=AT,
            )
    with database.tenant(tenant_id) as connection:
        shelf = advice.shelf(connection, tenant_id=tenant_id)
        versions = recommendations.versions(
            connection, tenant_id=tenant_id, name="spike.check"
        )
    assert (shelf["spike.check"].text, shelf["spike.check"].version) == (
        "second {series}",
        2,
    )
    assert [one.version for one in versions] == [2, 1]
    assert set(shelf) == set(DEFAULTS)


def test_a_name_that_no_anomaly_has_is_told():
    assert advice.unknown("{seres} {vlue} of {series}") == ["seres", "vlue"]
    assert not [one.name for one in DEFAULTS.values() if advice.unknown(one.text)]


def test_every_default_says_which_series_it_is_about():
    assert not [one.name for one in DEFAULTS.values() if "{series}" not in one.text]


def found_in(values, **options) -> set[str]:
    """The names that the evidence of the anomalies of a series has."""
    times = np.datetime64("2026-01-01", "h") + np.arange(len(values))
    asked = AnalysisOptions("1h", season=1, unit="MW", **options)
    found = analyse(values, times=times, options=asked).anomalies
    assert found
    return {name for one in found for name in stored_evidence(one)}


def test_what_a_placeholder_may_name_is_what_the_evidence_has():
    values = np.random.default_rng(0).normal(size=700)
    values[600:] += 6
    values[200], values[300:304], values[400:420] = 30.0, np.nan, 1.0
    names = found_in(values) | found_in(values, mode="replay")
    options = AnalysisOptions("1h", season=1)
    stream, levels = Stream(options), Levels(options)
    hours = np.datetime64("2026-01-01", "h") + np.arange(700)
    for value, hour in zip(values, hours, strict=True):
        told = [levels.push(stream, float(value), time=hour)]
        told += [anomaly_of(stream.push(float(value), time=hour))]
        names |= {name for one in told if one for name in stored_evidence(one)}
    assert names | set(advice.TOLD) == set(advice.KNOWN)


@pytest.fixture
def advised(database, tenant_id):
    """What is recommended for an incident, in the order in which it is shown."""

    def read(incident_id: str) -> list[tuple[str, str]]:
        with database.tenant(tenant_id) as connection:
            shown = shown_by_id(connection, tenant_id=tenant_id, ids=[incident_id])
        given_ = shown[incident_id]["recommendations"]
        assert all(one["series"] in one["text"] for one in given_)
        return [(one["kind"], one["series"]) for one in given_]

    return read


@pytest.mark.servers
def test_advice_is_about_what_the_headline_names(load, store, listed, advised):
    east, west = load("east", "load"), load("west", "load")
    evidence = {"value": 9.0, "expected": 4.0}
    store(
        {
            east: [anomaly(0, evidence=evidence, score=0.8)],
            west: [
                anomaly(0, evidence=evidence, score=0.9),
                anomaly(0, kind="dip", evidence=evidence, severity="low"),
            ],
        }
    )
    (one,) = listed()
    assert one.headline == "spike in east"
    assert advised(one.id) == [("spike", "east")] * 2 + [("dip", "west")] * 2


@pytest.mark.servers
def test_advice_follows_the_headline_but_what_was_applied_stays(
    database, load, store, listed, advised
):
    east, west = load("east", "load"), load("west", "load")
    evidence = {"value": 9.0, "expected": 4.0}
    store({east: [anomaly(0, evidence=evidence)]})
    rows.change(
        database,
        "UPDATE recommendations SET applied_at = now() WHERE template = 'spike.check'",
    )
    store({west: [anomaly(0, evidence=evidence, severity="critical")]})
    (one,) = listed()
    assert one.headline == "spike in west"
    assert advised(one.id) == [("spike", "west"), ("spike", "east")]
