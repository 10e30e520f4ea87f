"""Files for ingest jobs: whole or not at all."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest

from tests.web import samples
from tests.web.caller import Caller

pytestmark = pytest.mark.servers

SHEET = (
    "series,ts,value\n"
    + "".join(f"load,{ts},{value}\n" for ts, value in samples.hours(30))
).encode()


@pytest.fixture
def folder(settings, tenant_id):
    """Where the tenant's files lie."""
    return settings.artifacts_path / "uploads" / str(tenant_id)


def test_an_upload_tells_its_id_size_and_checksum(api, folder):
    answer = api.post("/v1/uploads?filename=load.csv", data=SHEET)
    assert answer.status_code == 201
    assert answer.json == {
        "id": answer.json["id"],
        "filename": "load.csv",
        "bytes": len(SHEET),
        "sha256": hashlib.sha256(SHEET).hexdigest(),
    }
    assert [path.name for path in folder.iterdir()] == [answer.json["id"]]
    assert (folder / answer.json["id"]).read_bytes() == SHEET


def test_an_uploaded_file_is_loaded_by_a_job(api, work):
    upload = api.post("/v1/uploads?filename=load.csv", data=SHEET).json
    job = api.submit(type="ingest.run", params={"upload": upload["id"]})
    assert work.run(job["id"]) == "succeeded"
    result = api.get(job["links"]["result"]).json
    assert (result["written"], result["quarantined"]) == (30, 0)
    assert result["sources"][0]["sha256"] == upload["sha256"]
    assert api.get("/v1/series/load").json["count"] == 30


def test_a_file_name_names_no_place(api, folder, settings):
    for name in ("../../../etc/passwd", "/etc/passwd", "a\\b", "x" * 500, "ü.csv"):
        answer = api.post("/v1/uploads", data=b"x", query_string={"filename": name})
        assert answer.status_code == 201
        assert answer.json["filename"] == name[:200]
    assert len(list(folder.iterdir())) == 5
    inside = {path.parent for path in settings.artifacts_path.rglob("upl_*")}
    assert folder in inside


def test_an_empty_file_is_refused_and_leaves_nothing(api, folder):
    assert api.post("/v1/uploads", data=b"").status_code == 422
    assert list(folder.glob("*")) == []


@pytest.fixture
def small(make_app, settings, api) -> Caller:
    """The same key at an application that takes little."""
    changed = replace(settings, max_upload_bytes=1_000, max_body_bytes=500)
    return Caller(make_app(changed), api.secret)


class Body:
    """A body that comes piece by piece, perhaps for ever."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._left) < size and (piece := next(self._pieces, b"")):
            self._left += piece
        given, self._left = self._left[:size], self._left[size:]
        return given


def chunked(pieces: Iterable[bytes]) -> dict:
    """Return the arguments of a call whose body has no length."""
    overrides = {
        "wsgi.input": Body(pieces),
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
    }
    return {"environ_overrides": overrides, "headers": {}}


def announced(pieces: Iterable[bytes], *, size: int) -> dict:
    """Return the arguments of a call that announces a length."""
    overrides = {"wsgi.input": Body(pieces), "CONTENT_LENGTH": str(size)}
    return {"environ_overrides": overrides}


def breaking() -> Iterator[bytes]:
    """Yield half a body."""
    yield b"half"
    raise ConnectionResetError


@pytest.mark.parametrize("size", [1_000, 1_001])
def test_the_limit_is_the_largest_file_that_is_taken(small, folder, size):
    told = small.post("/v1/uploads", data=b"x" * size)
    assert told.status_code == (201 if size == 1_000 else 413)
    assert len(list(folder.glob("*"))) == (1 if size == 1_000 else 0)


def test_an_endless_body_is_cut_at_the_limit_and_leaves_nothing(small, folder):
    pieces = itertools.repeat(b"x" * 100)
    answer = small.post("/v1/uploads", **chunked(pieces))
    assert answer.status_code == 413
    assert answer.json["type"] == "/problems/too-large"
    assert list(folder.glob("*")) == []


def test_a_body_without_a_length_is_stored_whole(small, folder):
    answer = small.post("/v1/uploads", **chunked([b"ab", b"c" * 300, b"d"]))
    assert answer.status_code == 201
    assert (folder / answer.json["id"]).read_bytes() == b"ab" + b"c" * 300 + b"d"


def test_a_length_above_the_limit_is_refused_before_anything_is_read(small, folder):
    untouched = iter([b"x"])
    call = announced(untouched, size=2 * 1024**3)
    answer = small.post("/v1/uploads", **call)
    assert list(untouched) == [b"x"]
    assert answer.status_code == 413
    assert list(folder.glob("*")) == []


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/v1/jobs", "application/json"),
        ("/v1/jobs/batch", "application/json"),
        ("/v1/series/a/observations", "application/json"),
        ("/v1/series/a/observations", "text/csv"),
    ],
)
@pytest.mark.parametrize("endless", [False, True])
def test_other_bodies_have_a_limit_of_their_own(small, path, form, endless):
    if endless:
        call = chunked(itertools.repeat(b" " * 100))
    else:
        call = {"data": b" " * 501, "headers": {}}
    call["headers"]["Content-Type"] = form
    answer = small.post(path, **call)
    assert answer.status_code == 413
    assert answer.json["type"] == "/problems/too-large"


@pytest.mark.parametrize(
    "call",
    [
        chunked(breaking()),
        announced(breaking(), size=8),
        announced([b"half"], size=8),
    ],
    ids=["chunked", "announced", "short"],
)
def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(api, folder, call):
    answer = api.post("/v1/uploads", **call)
    assert answer.status_code == 400
    assert list(folder.glob("*")) == []


@pytest.mark.parametrize(
    ("path", "form"),
    [("/v1/jobs", "application/json"), ("/v1/series/a/observations", "text/csv")],
)
def test_half_a_body_is_not_taken_for_a_whole_one(api, path, form):
    half = {"text/csv": SHEET[: SHEET.rindex(b"\n") + 1], "application/json": b"{}"}
    call = announced([half[form]], size=len(half[form]) + 9)
    answer = api.post(path, headers={"Content-Type": form}, **call)
    assert answer.status_code == 400
    assert api.get("/v1/series").json["items"] == []
