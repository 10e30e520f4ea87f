"""``ingest.run``: from the file in the artifacts folder to rows and a result."""

import gzip
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from sqlalchemy import text

from db import observations, series, uploads
from db.ids import new_id
from db.session import Connection, Database
from tasks.catalog import job_types
from tasks.errors import InvalidData, JobCancelled, SourceUnavailable
from tasks.ingest import IngestParams, run

pytestmark = pytest.mark.servers

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PJM = Path(__file__).parents[2] / "embedded" / "data" / "pjm_load.csv.gz"
PJM_LAYOUT = {
    "ts_column": "local_time",
    "value_column": "mw",
    "timezone": "America/New_York",
    "stamp": "end",
    "frequency": "1h",
}


@dataclass
class Attempt:
    """A job context over a real database that notes its progress."""

    database: Database
    tenant_id: int
    artifacts: Path
    job_id: str
    now: datetime = NOW
    attempt: int = 1
    steps: list[tuple] = field(default_factory=list)
    cancelled: bool = False

    def progress(self, done: int, total: int, unit: str, message: str) -> None:
        self.steps.append((done, total, unit, message))
        if self.cancelled:
            raise JobCancelled

    def read(self) -> AbstractContextManager[Connection]:
        return self.database.tenant(self.tenant_id)


@pytest.fixture
def attempt(database, tenant_id, tmp_path) -> Attempt:
    job_id = new_id("job")
    with database.tenant(tenant_id) as connection:
        connection.execute(
            text(
                "INSERT INTO jobs (id, tenant_id, type, queue, state, params, labels, "
                "priority, timeout_s, attempt, max_attempts, version, created_at) "
                "VALUES (:id, :tenant, 'ingest.run', 'ingest', 'running', '{}', '{}', "
                "5, 600, 1, 3, 1, now())"
            ),
            {"id": job_id, "tenant": tenant_id},
        )
    return Attempt(database, tenant_id, tmp_path, job_id)


def put(attempt: Attempt, content: bytes | Path, filename: str = "load.csv", **facts):
    upload_id = new_id("upl")
    folder = attempt.artifacts / "uploads" / str(attempt.tenant_id)
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        shutil.copy(content, folder / upload_id)
    else:
        (folder / upload_id).write_bytes(content)
    with attempt.read() as connection:
        uploads.create(
            connection,
            tenant_id=attempt.tenant_id,
            upload_id=upload_id,
            filename=filename,
            size=(folder / upload_id).stat().st_size,
            sha256="0" * 64,
            **{"content_type": "application/octet-stream", **facts},
        )
    return upload_id


def load(attempt: Attempt, upload_id: str, **layout):
    params = IngestParams.model_validate({"upload": upload_id, "layout": layout})
    outcome = run(params, attempt)
    with attempt.read() as connection:
        return {**outcome.result, **outcome.store(connection)}


def values(attempt: Attempt, key: str) -> tuple[np.ndarray, np.ndarray]:
    with attempt.read() as connection:
        found = series.find(connection, tenant_id=attempt.tenant_id, key=key)
        return observations.read(connection, series_id=found.id)


def count(attempt: Attempt, table: str) -> int:
    with attempt.read() as connection:
        return connection.scalar(text(f"SELECT count(*) FROM {table}"))


def test_a_file_is_loaded_and_its_bad_rows_are_listed(attempt):
    upload = put(
        attempt,
        b"series,ts,value\n"
        b"load,2026-01-01T00:00:00Z,1\n"
        b"load,2026-01-01T01:00:00,2\n"
        b"load,2026-01-01T02:00:00Z,\n"
        b"Load,2026-01-01T03:00:00Z,4\n"
        b"load,2026-01-01T04:00:00Z,5\n"
        b"load,2026-01-01T04:00:00Z,6\n"
        b"load,2026-01-01T05:00:00Z,7\n"
        b"load,2026-01-01T05:00:00Z,7\n"
        b"load,2026-01-01T06:00:00Z\n",
    )
    result = load(attempt, upload)
    assert (result["written"], result["revised"], result["unchanged"]) == (2, 0, 0)
    assert (result["missing"], result["duplicates"]) == (1, 1)
    assert result["quarantined"] == result["rejected_total"] == 5
    assert [(row["row"], row["code"]) for row in result["rejected"]] == [
        (2, "time_without_offset"),
        (4, "bad_key"),
        (5, "conflicting_duplicate"),
        (6, "conflicting_duplicate"),
        (9, "malformed_row"),
    ]
    assert result["windows"] == [
        {
            "series": "load",
            "start": "2026-01-01T00:00:00Z",
            "end": "2026-01-01T05:00:00.000001Z",
            "rows": 2,
        }
    ]
    assert result["sources"][0]["upload"] == upload
    assert attempt.steps[-1][:3] == (
        attempt.steps[-1][1],
        attempt.steps[-1][1],
        "bytes",
    )
    assert values(attempt, "load")[1].tolist() == [1, 7]
    with attempt.read() as connection:
        run_row = connection.execute(text("SELECT * FROM ingest_runs")).one()
    assert run_row.id == result["run_id"]
    assert run_row.job_id == attempt.job_id
    assert run_row.counts["written"] == 2


def test_the_bundled_load_data_becomes_gap_free_hours_in_utc(attempt):
    upload = put(attempt, PJM, "pjm_load.csv.gz")
    result = load(attempt, upload, **PJM_LAYOUT)
    assert result["rejected"] == []
    assert result["written"] == 52_707
    assert len(result["windows"]) == 3
    for window in result["windows"]:
        times, _ = values(attempt, window["series"])
        assert set(np.diff(times)) == {np.timedelta64(1, "h")}
        start = datetime.fromisoformat(window["start"])
        end = datetime.fromisoformat(window["end"])
        assert (end - start).total_seconds() / 3_600 == window["rows"]


def test_loading_again_writes_nothing_and_says_so(attempt):
    upload = put(attempt, b"series,ts,value\nload,2026-01-01T00:00:00Z,1\n")
    load(attempt, upload)
    again = load(attempt, upload)
    assert (again["written"], again["revised"], again["unchanged"]) == (0, 0, 1)
    assert again["message"].startswith("nothing was new")
    assert count(attempt, "obs_version") == 1


def test_a_file_without_a_good_row_is_an_error_with_the_reasons(attempt):
    upload = put(attempt, b"series,ts,value\nload,yesterday,1\nload,2026-01-01,2\n")
    with pytest.raises(InvalidData, match=r"not one of 2 rows.*yesterday.*offset"):
        load(attempt, upload)
    assert count(attempt, "series") == 0


def test_a_file_of_rows_that_contradict_each_other_has_no_good_row(attempt):
    row = b"load,2026-01-01T00:00:00Z,"
    upload = put(attempt, b"series,ts,value\n" + row + b"1\n" + row + b"2\n")
    with pytest.raises(InvalidData, match=r"not one of 2 rows.*different values"):
        load(attempt, upload)


def test_a_file_with_only_missing_values_succeeds_and_says_so(attempt):
    upload = put(attempt, b"series,ts,value\nload,2026-01-01T00:00:00Z,\n")
    result = load(attempt, upload)
    assert result["missing"] == 1
    assert "1 are missing" in result["message"]


@pytest.mark.parametrize(
    ("content", "layout", "pointer", "words"),
    [
        (b"series,ts\nload,2026-01-01\n", {}, "layout", "column 'value' is missing"),
        (b"series,ts,value\n", {}, None, "no row of data"),
        (b"x", {"format": "parquet"}, "upload", "not a whole Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_says_which_part_is_wrong(
    attempt, content, layout, pointer, words
):
    upload = put(attempt, content)
    with pytest.raises(InvalidData, match=words) as caught:
        load(attempt, upload, **layout)
    pointers = [error.pointer for error in caught.value.errors]
    assert pointers == ([f"/params/{pointer}"] if pointer else [])


def test_the_format_is_known_by_content_type_then_by_name(attempt):
    line = b'{"series": "load", "ts": "2026-01-01T00:00:00Z", "value": 1}\n'
    by_type = put(attempt, line, "x.csv", content_type="application/x-ndjson")
    by_name = put(attempt, gzip.compress(line, mtime=0), "x.JSONL.gz")
    assert load(attempt, by_type)["written"] == 1
    assert load(attempt, by_name)["unchanged"] == 1
    with pytest.raises(InvalidData, match="declare csv, ndjson") as caught:
        load(attempt, put(attempt, line, "x"))
    assert caught.value.errors[0].pointer == "/params/layout/format"


def test_an_upload_of_another_tenant_does_not_exist(attempt, other_tenant_id):
    upload = put(attempt, b"series,ts,value\nload,2026-01-01T00:00:00Z,1\n")
    attempt.tenant_id = other_tenant_id
    with pytest.raises(InvalidData, match="there is no upload"):
        load(attempt, upload)


def test_a_worker_without_the_file_tries_again_later(attempt):
    upload = put(attempt, b"series,ts,value\nload,2026-01-01T00:00:00Z,1\n")
    (attempt.artifacts / "uploads" / str(attempt.tenant_id) / upload).unlink()
    with pytest.raises(SourceUnavailable):
        load(attempt, upload)


def test_a_job_cancelled_while_reading_leaves_nothing(attempt):
    upload = put(attempt, b"series,ts,value\nload,2026-01-01T00:00:00Z,1\n")
    attempt.cancelled = True
    with pytest.raises(JobCancelled):
        load(attempt, upload)
    assert count(attempt, "obs_current") == count(attempt, "ingest_runs") == 0


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({"timezone": "Mars/Olympus"}, "not a time zone"),
        ({"stamp": "end"}, "needs the frequency"),
        ({"frequency": "1 month"}, "not a step of fixed length"),
        ({"ts_column": "value"}, "cannot be two things"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_layout_that_does_not_fit_together_is_refused_at_once(layout, words):
    params = {"upload": "upl_" + "0" * 32, "layout": layout}
    with pytest.raises(ValidationError, match=words):
        IngestParams.model_validate(params)


def test_the_job_type_is_in_the_catalogue():
    assert job_types()["ingest.run"].queue == "ingest"
