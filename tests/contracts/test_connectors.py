"""What every connector promises; a new file in the shelf is tested by being there."""

import itertools
import json
import re
import socket
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from ingest.batch import ISSUED, PUBLISHED, ROWS
from ingest.connectors import connector, connectors
from ingest.contract import Partition
from ingest.exchange import Answer
from ingest.fetch import exchanges
from ingest.parse import KEY
from ingest.verdicts import CLASSES, GOOD

WINDOW = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
AT = datetime(2026, 3, 2, tzinfo=UTC)
HOSTILE = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b'{"response": 1, "hourly": [], "chart": null, "observations": "x"}',
    b"[1, null, {}]",
    b'{"a": NaN',
    b"<html><body>Log in</body></html>",
    b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>",
    b"PK\x03\x04 no zip",
    b"PAR1 no parquet",
    b"a,b\n1\n",
    bytes(range(256)),
]


class Recorded:
    """Answers from a list, in order, however it is asked."""

    def __init__(self, answers):
        self.answers = list(answers)

    def send(self, _request):
        return self.answers.pop(0)


def played(kind):
    """Return the exchanges of a connector's example."""
    example = kind.example()
    return list(
        exchanges(
            kind(example.config),
            example.partition,
            transport=Recorded(example.answers),
            pause=lambda _: None,
        )
    )


def batches_of(kind):
    return [list(found.page.batches) for found in played(kind)]


@pytest.fixture(params=sorted(connectors()))
def kind(request):
    return connectors()[request.param]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_args):
        raise AssertionError("a connector reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_a_plan_is_the_same_each_time_and_inside_the_window(kind):
    config = kind.example().config
    plan = kind(config).plan(*WINDOW)
    assert plan == kind(config).plan(*WINDOW)
    assert plan
    assert len({partition.id for partition in plan}) == len(plan)
    for partition in plan:
        assert isinstance(partition, Partition)
        assert json.loads(json.dumps(dict(partition.part))) == dict(partition.part)
        if partition.start and partition.end:
            assert partition.start < partition.end


def test_the_partitions_of_a_series_meet_without_overlap(kind):
    plan = kind(kind.example().config).plan(*WINDOW)
    groups = itertools.groupby(plan, key=lambda one: json.dumps(dict(one.part)))
    for _, group in groups:
        for before, after in itertools.pairwise(list(group)):
            assert before.end == after.start


def test_the_recorded_exchange_parses_to_rows_of_the_schema(kind):
    found = batches_of(kind)
    assert sum(batch.rows.num_rows for page in found for batch in page) > 0
    allowed = {field.name: field for field in (*ROWS, PUBLISHED, ISSUED)}
    for batch in itertools.chain.from_iterable(found):
        batch.rows.validate(full=True)
        assert batch.rows.schema.names[:4] == ROWS.names
        for field in batch.rows.schema:
            assert field.type == allowed[field.name].type
        assert batch.missing >= 0
        for name in ROWS.names:
            assert batch.rows[name].null_count == 0
        assert all(map(KEY.fullmatch, batch.rows["series_key"].to_pylist()))


def test_parsing_the_same_exchange_again_gives_the_same_rows(kind):
    first, again = batches_of(kind), batches_of(kind)
    assert first == again


def test_bad_rows_of_the_recorded_exchange_have_a_number_a_code_and_a_reason(kind):
    rejected = [bad for page in batches_of(kind) for b in page for bad in b.rejected]
    assert rejected
    for bad in rejected:
        assert bad.row >= 1
        assert re.fullmatch(r"[a-z_]+", bad.code)
        assert bad.detail


def test_every_good_class_of_the_example_is_one_of_the_fourteen(kind):
    for found in played(kind):
        assert found.page.verdict.cls in GOOD
        assert found.page.verdict.cls in CLASSES


@pytest.mark.parametrize("body", HOSTILE)
@pytest.mark.parametrize("status", [200, 400, 403, 404, 429, 500])
def test_reading_raises_for_nothing_that_a_source_may_send(kind, status, body):
    example = kind.example()
    made = kind(example.config)
    for request in made.requests(example.partition):
        for media in ("application/json", "text/html", ""):
            answer = Answer(status, {"content-type": media}, AT, body)
            page = made.read(request, answer, example.partition)
            assert page.verdict.cls in CLASSES
            assert page.verdict.cls in GOOD or not list(page.batches)


def test_a_cut_off_answer_is_never_taken_for_a_whole_one(kind):
    example = kind.example()
    made = kind(example.config)
    request = made.requests(example.partition)[0]
    answer = replace(
        example.answers[0],
        content=example.answers[0].body[:-5],
        path=None,
        whole=False,
    )
    assert made.read(request, answer, example.partition).verdict.cls not in GOOD


def test_requests_hold_the_names_of_secrets_and_of_those_it_says_only(kind):
    example = kind.example()
    made = kind(example.config)
    told = {one.name for one in kind.spec.secrets} | {"token"}
    for found in played(kind):
        text = json.dumps(
            [found.request.url, found.request.params, dict(found.request.headers)]
        ) + (found.request.body or "")
        assert set(re.findall(r"\{secret:(\w+)\}", text)) <= told
        json.dumps(dict(found.request.place))
    assert made.requests(example.partition)[0].fingerprint


def test_a_config_is_closed_described_and_survives_json(kind):
    schema = kind.config_type.model_json_schema()
    assert schema["additionalProperties"] is False
    for name, field in schema["properties"].items():
        assert field.get("description"), name
    config = kind.example().config
    assert kind.config_type.model_validate_json(config.model_dump_json()) == config


def test_what_is_known_of_the_source_is_said(kind):
    spec = kind.spec
    assert spec.title
    assert spec.licence
    assert spec.limits.per_second > 0
    assert spec.tiers
    assert all(one.title for one in spec.secrets)


def test_a_name_taken_twice_is_refused(kind):
    (name,) = (name for name, found in connectors().items() if found is kind)
    with pytest.raises(ValueError, match="registered twice"):
        connector(name)(type("Other", (), {}))


def test_the_schema_of_rows_has_no_nulls():
    assert all(not field.nullable for field in ROWS)
    assert pa.types.is_timestamp(PUBLISHED.type)
