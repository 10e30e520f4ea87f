"""The bargain of an artifact store: a folder and a bucket both keep it."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as sometimes
from hypothesis import strategies as st

from tasks import storage
from tasks.artifacts import (
    ArtifactAbsent,
    ArtifactDamaged,
    ArtifactStore,
    FileStore,
    digest,
)
from tasks.artifacts_s3 import Bucket, BucketStore
from tasks.errors import SourceUnavailable
from tasks.settings import InvalidSettings, Settings
from tests.tasks import bucket as fake

NOBODY = "0" * 64


@dataclass
class Held:
    """A store, and how to spoil what it keeps."""

    store: ArtifactStore
    spoil: Callable[[str, bytes], None]


@pytest.fixture
def served() -> Iterator[fake.FakeBucket]:
    with fake.serving() as found:
        yield found


def _bucket(served: fake.FakeBucket, **changes) -> BucketStore:
    given = {
        "name": fake.BUCKET,
        "prefix": "kept/7",
        "endpoint": served.url,
        "region": fake.REGION,
        "access_key": fake.ACCESS_KEY,
        "secret_key": fake.SECRET_KEY,
        "timeout_s": 10.0,
        "retries": 0,
    }
    return BucketStore(Bucket(**given | changes))


@pytest.fixture(params=["folder", "bucket"])
def held(request, tmp_path, served) -> Held:
    if request.param == "folder":

        def spoil(sha256: str, content: bytes) -> None:
            (tmp_path / sha256[:2] / sha256).write_bytes(content)

        return Held(FileStore(tmp_path), spoil)

    def spoil_object(sha256: str, content: bytes) -> None:
        served.objects[f"kept/7/{sha256[:2]}/{sha256}"] = content

    return Held(_bucket(served), spoil_object)


@sometimes(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=st.binary(max_size=2_000))
def test_what_was_put_comes_back_under_its_hash(held, content):
    sha256 = held.store.put(content)
    assert sha256 == hashlib.sha256(content).hexdigest()
    assert held.store.get(sha256) == content
    assert held.store.holds(sha256)


def test_a_large_artifact_comes_back_whole(held):
    content = os.urandom(1 << 20) * 12
    assert held.store.get(held.store.put(content)) == content


def test_what_was_never_put_is_absent(held):
    assert not held.store.holds(NOBODY)
    with pytest.raises(ArtifactAbsent):
        held.store.get(NOBODY)


def test_putting_twice_keeps_one(held):
    assert held.store.put(b"twice") == held.store.put(b"twice")
    assert list(held.store.digests()) == [digest(b"twice")]


def test_everything_kept_is_listed(held):
    assert list(held.store.digests()) == []
    kept = {held.store.put(bytes([number])) for number in range(5)}
    assert sorted(held.store.digests()) == sorted(kept)


def test_damage_is_found_when_it_is_read_and_mended_by_putting_again(held):
    sha256 = held.store.put(b"sound")
    held.spoil(sha256, b"unsound")
    with pytest.raises(ArtifactDamaged, match=sha256):
        held.store.get(sha256)
    assert held.store.put(b"sound") == sha256
    assert held.store.get(sha256) == b"sound"


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 63, "0\n"])
def test_what_is_no_hash_names_nothing(held, name):
    with pytest.raises(ArtifactAbsent):
        held.store.get(name)


def _everything(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("step", ["mkdir", "fsync", "replace"])
def test_a_full_disk_leaves_nothing_half(tmp_path, monkeypatch, step):
    def full(*_args, **_more) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = FileStore(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os if step == "fsync" else Path, step, full)
        with pytest.raises(SourceUnavailable, match="no room") as caught:
            store.put(b"too much")
    assert caught.value.retry_after_s == 60
    assert _everything(tmp_path) == []
    assert store.get(store.put(b"too much")) == b"too much"


def test_a_folder_that_cannot_be_written_is_no_full_disk(tmp_path):
    (tmp_path / digest(b"x")[:2]).write_bytes(b"a file where a folder ought to be")
    with pytest.raises(OSError, match="directory"):
        FileStore(tmp_path).put(b"x")


def test_what_a_power_cut_left_behind_is_not_listed(tmp_path):
    store = FileStore(tmp_path)
    sha256 = store.put(b"kept")
    (tmp_path / sha256[:2] / ".abc.part").write_bytes(b"ke")
    assert list(store.digests()) == [sha256]


def test_every_request_to_a_bucket_is_signed_and_under_its_prefix(served):
    store = _bucket(served)
    store.put(b"signed")
    store.get(digest(b"signed"))
    store.holds(digest(b"signed"))
    list(store.digests())
    assert served.refused == []
    sha256 = digest(b"signed")
    where = f"/{fake.BUCKET}/kept/7/{sha256[:2]}/{sha256}"
    assert served.calls[:3] == [f"{verb} {where}" for verb in ("PUT", "GET", "HEAD")]
    assert list(served.objects) == [where.removeprefix(f"/{fake.BUCKET}/")]


@pytest.mark.parametrize(
    "wrong",
    [{"secret_key": "another"}, {"access_key": "NOBODY"}, {"region": "us-east-1"}],
)
def test_a_bucket_refuses_wrong_keys_and_no_error_shows_them(served, wrong):
    store = _bucket(served, **wrong)
    with pytest.raises(SourceUnavailable) as caught:
        store.put(b"x")
    assert served.refused == ["the signature is wrong"]
    assert served.objects == {}
    for word in (fake.SECRET_KEY, "another", "NOBODY"):
        assert word not in str(caught.value)
        assert word not in repr(store._bucket)


def test_a_bucket_that_is_away_is_asked_again_later(served):
    store = _bucket(served)
    served.failing = 100
    for call in (store.put, lambda _: store.get(NOBODY), store.holds):
        with pytest.raises(SourceUnavailable, match="s3://models/kept/7"):
            call(NOBODY.encode() if call == store.put else NOBODY)
    with pytest.raises(SourceUnavailable):
        list(store.digests())


def test_a_bucket_that_stumbles_once_is_tried_again_at_once(served):
    store = _bucket(served, retries=2)
    served.failing = 1
    sha256 = store.put(b"patience")
    assert store.get(sha256) == b"patience"


def test_the_signature_is_that_of_the_published_example(monkeypatch):
    """The GET of an object with a range in Amazon's description of SigV4 for S3."""
    monkeypatch.setattr(fake, "SECRET_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    monkeypatch.setattr(fake, "REGION", "us-east-1")
    headers = {
        "host": "examplebucket.s3.amazonaws.com",
        "range": "bytes=0-9",
        "x-amz-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-amz-date": "20130524T000000Z",
    }
    made = fake.signature("GET", "/test.txt", headers, list(headers), b"")
    assert made == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"


URL = Settings(database_url="postgresql://x/y")


def test_by_default_artifacts_lie_in_a_folder_of_the_tenant(tmp_path):
    settings = replace(URL, artifacts=str(tmp_path))
    sha256 = storage.opened(settings, tenant_id=7).put(b"mine")
    assert (tmp_path / "models" / "7" / sha256[:2] / sha256).read_bytes() == b"mine"
    assert not storage.opened(settings, tenant_id=8).holds(sha256)


def test_settings_may_name_a_bucket_where_each_tenant_has_a_prefix(served):
    settings = replace(
        URL,
        artifact_store=f"s3://{fake.BUCKET}/trained",
        s3_endpoint=served.url,
        s3_region=fake.REGION,
        s3_access_key=fake.ACCESS_KEY,
        s3_secret_key=fake.SECRET_KEY,
    )
    store = storage.opened(settings, tenant_id=7)
    sha256 = store.put(b"mine")
    assert store.name == "s3://models/trained/7"
    assert list(served.objects) == [f"trained/7/{sha256[:2]}/{sha256}"]
    assert not storage.opened(settings, tenant_id=8).holds(sha256)


def test_a_bucket_without_the_extra_says_what_to_install(monkeypatch):
    monkeypatch.setattr(storage, "find_spec", lambda _name: None)
    settings = replace(URL, artifact_store="s3://models")
    with pytest.raises(InvalidSettings, match="extra s3"):
        storage.opened(settings, tenant_id=7)


@pytest.mark.parametrize("name", ["models", "s3://", "file:///var", "s3://a b/c"])
def test_a_store_that_cannot_be_read_is_refused_when_a_process_starts(name):
    environ = {"FOREBAY_DATABASE_URL": "x", "FOREBAY_ARTIFACT_STORE": name}
    with pytest.raises(InvalidSettings, match="s3://bucket/prefix"):
        Settings.from_environ(environ)
