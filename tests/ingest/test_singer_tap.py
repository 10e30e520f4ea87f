"""Singer taps: a real program, what it is told, and what becomes of a bad one."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from ingest.connectors.singer_tap import SingerTap, SingerTapConfig
from ingest.contract import Partition
from ingest.exchange import NotAllowed, Unreachable, secret
from ingest.fetch import Refused, exchanges
from ingest.placeholders import MissingSecret
from ingest.singer import SingerTransport
from ingest.spool import TooLarge
from ingest.table_layout import TableLayout
from ingest.wire import Wire
from tests.ingest.carrying import outside
from tests.ingest.wire_samples import after_each_fault, made, rows
from tests.sources.drop import Flaky
from tests.sources.tap import command
from tests.sources.truth import DAY, Truth, grid

START = datetime(2026, 1, 10, tzinfo=UTC)
WINDOW = Partition("window", START, START + 2 * DAY)
KEY = "a-fake-key-of-a-tap"


@pytest.fixture
def world(tmp_path):
    """A truth, and a function that says which tap tells it."""
    truth = Truth(1, series=("A", "B"), starts=grid(START, 72))
    path = tmp_path / "rows.json"

    def source(**more):
        told = [
            {"zone": name, "ts": f"{ts:%Y-%m-%dT%H:%M:%SZ}", "value": value}
            for name, ts, value in truth.rows()
        ]
        path.write_text(json.dumps(told))
        settings = {"api_key": secret("api_key"), "rows": str(path)}
        config = SingerTapConfig(
            tap="tap-load",
            stream="load",
            layout=TableLayout(series_columns=("zone",)),
            settings={**settings, **more.pop("settings", {})},
            **more,
        )
        return SingerTap(config)

    return truth, source


def carrier(tmp_path, key=KEY, **more):
    secrets = {} if key is None else {"api_key": key}
    return SingerTransport(
        outside(tmp_path, secrets, **more), taps={"tap-load": command()}
    )


def read(source, transport, partition=WINDOW):
    return list(
        exchanges(source, partition, transport=transport, pause=lambda _s: None)
    )


def told(truth, start=START, end=None):
    return sorted(
        (
            (name.lower(), ts, value, None)
            for (name, ts), value in truth.values().items()
            if start <= ts and (end is None or ts < end)
        ),
        key=str,
    )


def test_the_records_of_one_stream_are_the_rows(world, tmp_path):
    truth, source = world
    (found,) = read(source(), carrier(tmp_path))
    assert rows([found]) == told(truth)
    assert json.loads(found.answer.headers["x-singer-state"]) == {"load": True}


def test_a_window_is_cut_if_the_tap_can_be_told_its_end(world, tmp_path):
    truth, source = world
    ended = source(end_setting="end_date", span_days=1)
    plan = ended.plan(START, START + 2 * DAY)
    assert len(plan) == 2
    (found,) = read(ended, carrier(tmp_path), plan[1])
    assert rows([found]) == told(truth, START + DAY, START + 2 * DAY)
    assert len(source().plan(START, START + 99 * DAY)) == 1


def test_a_revision_arrives(world, tmp_path):
    truth, source = world
    before = rows(read(source(), carrier(tmp_path)))
    truth.revise("A", START, 1.25, START + 99 * DAY)
    after = rows(read(source(), carrier(tmp_path)))
    assert set(after) - set(before) == {("a", START, 1.25, None)}


def test_more_than_5000_records_do_not_have_to_fit_into_memory(tmp_path):
    truth = Truth(2, starts=grid(START, 3_000), missing=0.0)
    path = tmp_path / "many.json"
    path.write_text(
        json.dumps(
            [
                {"zone": name, "ts": f"{ts:%Y-%m-%dT%H:%M:%SZ}", "value": value}
                for name, ts, value in truth.rows()
            ]
        )
    )
    config = SingerTapConfig(
        tap="tap-load",
        stream="load",
        layout=TableLayout(series_columns=("zone",)),
        settings={"api_key": secret("api_key"), "rows": str(path)},
    )
    small = carrier(tmp_path, wire=Wire(in_memory=10_000))
    (found,) = read(SingerTap(config), small)
    assert found.answer.path is not None
    assert rows([found]) == told(truth)
    with pytest.raises(TooLarge):
        read(SingerTap(config), carrier(tmp_path, wire=Wire(most_bytes=10_000)))


def test_a_secret_reaches_the_tap_and_nothing_else(world, tmp_path):
    _, source = world
    (found,) = read(source(), carrier(tmp_path))
    assert KEY not in repr(found)
    with pytest.raises(Refused, match="transient") as refused:
        read(source(), carrier(tmp_path, key="a-wrong-key"))
    assert "401 for the key" in str(refused.value)
    assert "a-wrong-key" not in str(refused.value)
    with pytest.raises(MissingSecret):
        read(source(), carrier(tmp_path, key=None))
    assert list(tmp_path.iterdir()) == [tmp_path / "rows.json"]


def test_a_tap_that_babbles_or_hangs_gives_no_rows(world, tmp_path):
    _, source = world
    with pytest.raises(Refused, match="no message: INFO: nearly done"):
        read(source(settings={"babbles": True}), carrier(tmp_path))
    hanging = source(settings={"hangs": True}).requests(WINDOW)[0]
    with pytest.raises(Unreachable, match="did not end"):
        carrier(tmp_path, wire=Wire(total_s=0.05)).send(hanging)


def test_only_listed_taps_run(world, tmp_path):
    _, source = world
    with pytest.raises(NotAllowed, match="tap-other"):
        read(
            SingerTap(SingerTapConfig(tap="tap-other", stream="load")),
            carrier(tmp_path),
        )
    missing = SingerTransport(
        outside(tmp_path, {"api_key": KEY}), taps={"tap-load": ["/nowhere/tap"]}
    )
    with pytest.raises(Refused, match="cannot be started"):
        read(source(), missing)


def test_any_single_fault_gives_the_same_rows(world, tmp_path):
    truth, source = world
    flaky = Flaky(carrier(tmp_path))
    for call, fault, found in after_each_fault(
        flaky, lambda: rows(read(source(), flaky))
    ):
        assert found == told(truth), (call, fault)


@pytest.mark.parametrize(
    "fields",
    [
        {"tap": "../tap"},
        {"stream": "a/b"},
        {"settings": {"key": "{secret:unheard}"}},
        {"layout": {"stamp": "end"}},
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(fields):
    with pytest.raises(ValidationError):
        SingerTapConfig(**{"tap": "a", "stream": "b", **fields})


def test_records_without_a_column_are_a_change_and_none_are_empty(world):
    _, source = world
    (request,) = source().requests(WINDOW)
    for body, cls in (("", "empty"), ('{"a": 1}\n', "schema_drift")):
        assert source().read(request, made(body), WINDOW).verdict.cls == cls


def test_a_tap_that_babbles_on_is_ended_at_once(world, tmp_path):
    _, source = world
    endless = source(settings={"floods": True}).requests(WINDOW)[0]
    found = carrier(tmp_path, wire=Wire(total_s=20)).send(endless)
    assert (found.status, found.body[:21]) == (502, b"the tap wrote what is")


def test_records_that_a_tap_writes_to_files_are_not_passed_over(world, tmp_path):
    truth, source = world
    with pytest.raises(Refused, match="turn off its batches"):
        read(source(settings={"batches": "load"}), carrier(tmp_path))
    found = read(source(settings={"batches": "other"}), carrier(tmp_path))
    assert rows(found) == told(truth)
