"""Microsoft's own client against a running Forebay, its endpoint changed, no more."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.ai.anomalydetector import AnomalyDetectorClient
from azure.ai.anomalydetector.models import (
    TimeGranularity,
    TimeSeriesPoint,
    UnivariateChangePointDetectionOptions,
    UnivariateDetectionOptions,
)
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

from tests.stack import Stack, running_stack

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
TUNED = {"FOREBAY_HEARTBEAT_S": "0.5", "FOREBAY_SHUTDOWN_S": "1"}
SPIKE = 70


@pytest.fixture(scope="module")
def stack(postgres_server, rabbitmq_server, tmp_path_factory) -> Iterator[Stack]:
    postgres_server.create_database("forebay_azure")
    with running_stack(
        database_url=postgres_server.url("forebay_azure"),
        broker={"FOREBAY_BROKER_URL": rabbitmq_server.add_vhost("azure")},
        folder=tmp_path_factory.mktemp("azure"),
        workers=(("analysis,forecast,ingest,system", 1),),
        tuned=TUNED,
    ) as found:
        yield found
    postgres_server.drop_database("forebay_azure")


def client(stack: Stack, secret: str) -> AnomalyDetectorClient:
    endpoint = f"{stack.base}/compat"
    return AnomalyDetectorClient(endpoint, AzureKeyCredential(secret))


def points(count: int = 98, *, spike_at: int | None = SPIKE) -> list[TimeSeriesPoint]:
    """Return days with a week in them, some unrest, and a spike."""
    values = [
        100
        + 20 * math.sin(at * math.tau / 7)
        + 2 * math.sin(at * 12.9898) * math.cos(at * 78.233)
        for at in range(count)
    ]
    if spike_at is not None:
        values[spike_at] += 80
    return [
        TimeSeriesPoint(timestamp=FIRST + timedelta(days=at), value=value)
        for at, value in enumerate(values)
    ]


def test_the_entire_series_is_judged(stack):
    asked = UnivariateDetectionOptions(
        series=points(), granularity=TimeGranularity.DAILY, sensitivity=50
    )
    with client(stack, stack.key) as azure:
        found = azure.detect_univariate_entire_series(asked)
    assert found.period == 7
    assert [at for at, here in enumerate(found.is_anomaly) if here] == [SPIKE]
    assert found.is_positive_anomaly[SPIKE]
    assert not found.is_negative_anomaly[SPIKE]
    assert found.severity[SPIKE] > 0 == sum(found.severity[:SPIKE])
    assert len(found.expected_values) == len(found.upper_margins) == 98
    upper = found.expected_values[SPIKE] + 50 * found.upper_margins[SPIKE]
    assert asked.series[SPIKE].value > upper


def test_the_last_point_is_judged(stack):
    asked = UnivariateDetectionOptions(
        series=points(SPIKE + 1), granularity=TimeGranularity.DAILY, period=7
    )
    with client(stack, stack.key) as azure:
        found = azure.detect_univariate_last_point(asked)
    assert found.is_anomaly
    assert found.is_positive_anomaly
    assert found.suggested_window == 29
    assert 80 < found.expected_value < 120


def test_a_last_point_like_the_others_is_none(stack):
    asked = UnivariateDetectionOptions(
        series=points(spike_at=None), granularity=TimeGranularity.DAILY
    )
    with client(stack, stack.key) as azure:
        found = azure.detect_univariate_last_point(asked)
    assert not found.is_anomaly
    assert found.severity == 0


def test_change_points_are_found(stack):
    days = points(90, spike_at=None)
    for day in days[50:]:
        day.value += 100
    asked = UnivariateChangePointDetectionOptions(
        series=days, granularity=TimeGranularity.DAILY, threshold=0.9
    )
    with client(stack, stack.key) as azure:
        found = azure.detect_univariate_change_point(asked)
    assert [at for at, here in enumerate(found.is_change_point) if here] == [50]
    assert found.confidence_scores[50] > 0.5


def test_a_series_out_of_order_and_a_wrong_key_are_told_as_azure_tells_them(stack):
    asked = UnivariateDetectionOptions(
        series=points()[::-1], granularity=TimeGranularity.DAILY
    )
    with client(stack, stack.key) as azure, pytest.raises(HttpResponseError) as told:
        azure.detect_univariate_entire_series(asked)
    assert (told.value.status_code, told.value.error.code) == (400, "InvalidSeries")
    with (
        client(stack, "fbk_wrong") as azure,
        pytest.raises(ClientAuthenticationError),
    ):
        azure.detect_univariate_entire_series(asked)
