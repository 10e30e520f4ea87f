"""Forecasts from outside as covariates: what a cutoff reads, beside slow loops."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.covariates import CovariateParams, covariate_reader
from tasks.forecast_backtest import BacktestParams, forecast_backtest
from tasks.inputs import Input
from tests.db import loading
from tests.db.loading import DAY, HOUR, NOW
from tests.fakes import FakeContext
from tests.tasks.series import START, moved, store, warm

pytestmark = pytest.mark.servers

HOURS = st.integers(-1, 2)
VALUES = st.sampled_from([1.0, 2.0, -0.5])
PUBLISHED = st.sampled_from([NOW + hours * HOUR for hours in (-30, -3, 0, 2)])
ISSUED = st.sampled_from([NOW + hours * HOUR for hours in (-30, -24, -1, 1)])
ISSUES = st.lists(
    st.tuples(st.just("f"), HOURS, VALUES, st.none() | PUBLISHED, ISSUED), max_size=12
)
OBSERVED = st.lists(
    st.tuples(st.just("f"), HOURS, VALUES, st.none() | PUBLISHED, st.none()),
    max_size=12,
)
CUTOFFS = [NOW + hours * HOUR for hours in (-40, -26, -2, 0, 1, 3)]
FAR = NOW + 400 * DAY


def naive_since(version, *, first: bool, strict: bool, known_by: str, ts):
    """Since when a version may be read."""
    since, ingested, issued, basis = version
    known = max(since, ingested) if known_by == "received" else since
    if not strict and first and basis != "published" and known > ts:
        return issued or NOW - 9_999 * DAY
    return max(known, issued) if issued else known


def naive_known(database, cutoff, *, strict: bool, known_by: str) -> dict:
    """What may be read of the series at a cutoff: {hour: value}."""
    cells: dict = {}
    for (_, hour, since), row in loading.versions(database).items():
        value, _, issued, ingested, basis = row
        cells.setdefault(hour, []).append((since, ingested, issued, basis, value))
    found = {}
    for hour, every in cells.items():
        best = None
        every.sort(key=lambda one: one[0])
        for number, (since, ingested, issued, basis, value) in enumerate(every):
            first = not any(one[2] == issued for one in every[:number])
            readable = naive_since(
                (since, ingested, issued, basis),
                first=first,
                strict=strict,
                known_by=known_by,
                ts=NOW + hour * HOUR,
            )
            rank = issued or NOW - DAY * 999, since
            if readable <= cutoff and (best is None or rank > best[0]):
                best = rank, value
        if best is not None:
            found[hour] = best[1]
    return found


@given(
    loads=st.lists(ISSUES, min_size=1, max_size=3)
    | st.lists(OBSERVED, min_size=1, max_size=3),
    strict=st.booleans(),
    known_by=st.sampled_from(["published", "received"]),
)
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_cutoff_reads_what_the_slow_loops_read(
    database, tenant_id, loads, strict, known_by
):
    loading.emptied(database)
    for number, rows in enumerate([[("f", 9, 1.0, None, None)], *loads]):
        now = NOW - DAY + 12 * number * HOUR
        loading.load(database, tenant_id, rows, said=True, now=now)
    found = _read(database, tenant_id, strict=strict, known_by=known_by)
    for cutoff in CUTOFFS:
        times, values = found.known(np.datetime64(cutoff.replace(tzinfo=None), "us"))
        hours = [(one - NOW.replace(tzinfo=None)) // HOUR for one in times.tolist()]
        expected = naive_known(database, cutoff, strict=strict, known_by=known_by)
        assert dict(zip(hours, values.tolist(), strict=True)) == expected


def _read(database, tenant_id, *, strict: bool, known_by: str):
    context = FakeContext(tenant_id=tenant_id, database=database)
    params = CovariateParams.model_validate(
        {"covariates": [{"series": "f", "strict": strict}]}
    )
    # So late that no cutoff of the test is that of the final forecast.
    times = np.array([FAR.replace(tzinfo=None)], "M8[us]")
    item = Input("a", None, "1h", times, np.array([1.0]))
    (found,) = covariate_reader(params, context, then={"known_by": known_by})(item)
    return found


def test_an_old_issue_that_comes_late_does_not_displace_a_newer_one(
    database, tenant_id
):
    loading.emptied(database)
    old, new = NOW - 12 * HOUR, NOW - 6 * HOUR
    loading.load(database, tenant_id, [("f", 9, 2.0, None, new)], said=True, now=NOW)
    late = {"said": True, "now": NOW + HOUR}
    loading.load(database, tenant_id, [("f", 9, 1.0, None, old)], **late)
    found = _read(database, tenant_id, strict=True, known_by="published")
    cutoff = np.datetime64((NOW + 2 * HOUR).replace(tzinfo=None), "us")
    assert found.known(cutoff)[1].tolist() == [2.0]


DAYS, HORIZON, WINDOWS = 12, 12, 2
LATEST_CUTOFF = START + (24 * DAYS - 1 - HORIZON) * HOUR


def _issues(values, issued, *, published=None):
    """Rows of the weather that one issue says of all times from ``issued`` on."""
    return [
        ("f", hour, value, published, issued)
        for hour, value in values.items()
        if NOW + hour * HOUR > issued
    ]


def _backtest(database, tenant_id, **more) -> dict:
    params = BacktestParams.model_validate(
        {
            "series": ["load"],
            "horizon": HORIZON,
            "model": "linear",
            "covariates": [{"series": "f"}],
            "backtest": {"windows": WINDOWS},
            **more,
        }
    )
    context = FakeContext(tenant_id=tenant_id, database=database)
    return forecast_backtest(params, context).result


@pytest.fixture
def weather(database, tenant_id) -> dict:
    """A load that follows the weather, and issues of it every twelve hours."""
    loading.emptied(database)
    store(database, tenant_id, "load", moved(DAYS), now=START)
    shift = (START - NOW) // HOUR
    values = {
        shift + n: row["value"] for n, row in enumerate(warm(24 * DAYS + HORIZON))
    }
    for back in range(24 * DAYS // HORIZON + 1):
        issued = START + (24 * DAYS - 1 - back * HORIZON) * HOUR
        rows = _issues(values, issued)
        loading.load(database, tenant_id, rows, said=True, now=FAR)
    first = [
        ("f", shift + hour, values[shift + hour], None, None) for hour in range(24)
    ]
    loading.load(database, tenant_id, first, said=True, now=FAR)
    return values


def test_issues_that_came_later_never_change_a_backtest(database, tenant_id, weather):
    before = _backtest(database, tenant_id)
    (panel,) = before["panels"]
    assert len(panel["windows"]) == WINDOWS
    wild = {hour: 1e3 * (-1) ** hour for hour in weather}
    for hours, published in ((1, None), (5, None), (-30, 1)):
        issued = LATEST_CUTOFF + hours * HOUR
        # Issued before the cutoff, and still not there when it was made.
        told = published and LATEST_CUTOFF + published * HOUR
        rows = [("f", hour, value, told, issued) for hour, value in wild.items()]
        loading.load(database, tenant_id, rows, said=True, now=FAR + DAY)
        assert _backtest(database, tenant_id) == before


def test_an_issue_from_before_a_cutoff_does_change_the_backtest(
    database, tenant_id, weather
):
    before = _backtest(database, tenant_id)
    wild = {hour: 1e3 * (-1) ** hour for hour in weather}
    issued = LATEST_CUTOFF - timedelta(minutes=1)
    loading.load(database, tenant_id, _issues(wild, issued), said=True, now=FAR + DAY)
    assert _backtest(database, tenant_id) != before
    then = {"as_of": FAR.isoformat(), "known_by": "received"}
    assert _backtest(database, tenant_id, **then) == before
