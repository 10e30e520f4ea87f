"""What the exporting bench reads of each format, and a tiny run."""

import json
from dataclasses import replace
from datetime import datetime

import pyarrow as pa
import pytest

from bench import exporting
from bench.exporting import Exported, Plan, Read
from bench.servers import Servers
from web.observation_formats import FORMS, writer

TINY = Plan(series=4, hours=30, points=50, repeats=1)
ONE = Exported("csv", 10, 1.0, 0.1, 2.0, 7.0, same=True)
COLUMNS = ("series", "ts", "value")


def _body(form: str) -> bytes:
    times = [datetime.fromisoformat(f"2026-03-01T{hour:02}:00Z") for hour in range(3)]
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array(["a", "a", "b"]),
            pa.array(times, pa.timestamp("us", "UTC")),
            pa.array([0.1, 2.0, -5e-324]),
        ],
        names=list(COLUMNS),
    )
    return b"".join(writer(FORMS[form], COLUMNS)(iter([batch])))


def test_the_same_rows_in_every_format_have_one_digest():
    found = {form: exporting.decoded(_body(form), form) for form in exporting.FORMS}
    assert len({one.digest for one in found.values()}) == 1
    assert found["csv"].value.tolist() == [0.1, 2.0, -5e-324]
    changed = replace(found["csv"], value=found["csv"].value + 1)
    assert changed.digest != found["csv"].digest


def test_the_tables_tell_what_was_missed():
    told = exporting.exports_table([ONE, replace(ONE, growth_mib=300.0, same=False)])
    lines = told.splitlines()[2:]
    assert " met " in lines[0]
    assert "the same" in lines[0]
    assert " missed " in lines[1]
    assert "DIFFERENT" in lines[1]
    assert "missed" in exporting.reads_table([Read("as of", 100_000, 101.0)])


@pytest.mark.servers
def test_a_tiny_run_exports_the_same_numbers(
    postgres_server, rabbitmq_server, tmp_path
):
    servers = Servers(postgres_server, rabbitmq_server, {})
    exports, reads = exporting.run(servers, TINY, folder=tmp_path)
    assert [one.rows for one in exports] == [120] * 4
    assert all(one.same for one in exports)
    assert [one.rows for one in reads] == [50] * 6
    assert json.dumps([vars(one) for one in (*exports, *reads)])
