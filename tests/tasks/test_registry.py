"""What was trained is kept, registered, loaded, and held against the store."""

import math
import shutil
from datetime import timedelta

import numpy as np
import orjson
import pytest

from db import registry as rows
from tasks import registry
from tasks.artifacts import ArtifactStore
from tasks.errors import InvalidData
from tests.db import trained
from tests.fakes import FakeContext

pytestmark = pytest.mark.servers

NAME = "load-day-ahead"


@pytest.fixture
def context(database, tenant_id, tmp_path) -> FakeContext:
    return FakeContext(tenant_id=tenant_id, database=database, artifacts=tmp_path)


def train(context: FakeContext, content: bytes = b"fitted", **changes) -> int:
    """Keep an artifact and register a version of it, as a job does."""
    name = changes.pop("name", NAME)
    kept = registry.keep(context, content)
    version = trained.new(
        artifact_sha256=kept.sha256,
        artifact_bytes=kept.bytes,
        artifact_store=kept.store,
        **changes,
    )
    with context.read() as connection:
        return registry.register(
            connection, tenant_id=context.tenant_id, entry=name, version=version
        )


def damage(context: FakeContext, sha256: str, content: bytes | None) -> None:
    (path,) = context.artifacts.rglob(sha256)
    path.unlink() if content is None else path.write_bytes(content)


def pointer(caught) -> str:
    (fault,) = caught.value.errors
    assert fault.detail == caught.value.detail
    return fault.pointer


def test_what_was_trained_is_loaded_bit_for_bit(context):
    values = np.random.default_rng(7).normal(size=1_000)
    first = train(context, values.tobytes(), seed=7)
    for _ in range(3):
        train(context, b"another")
    version, content = registry.load(context, NAME, first)
    assert (version.number, version.seed) == (first, 7)
    assert np.frombuffer(content).tobytes() == values.tobytes()


def test_the_champion_is_whichever_it_is_now(context):
    for content in (b"one", b"two"):
        train(context, content)
    with pytest.raises(InvalidData, match="no champion of a model load") as caught:
        registry.load(context, NAME)
    assert pointer(caught) == "/params/model"
    for number, content in ((1, b"one"), (2, b"two"), (1, b"one")):
        with context.read() as connection:
            given = {"tenant_id": context.tenant_id}
            entry = rows.hold(connection, name=NAME, **given)
            rows.crown(connection, entry_id=entry.id, to=number, **given)
        version, found = registry.load(context, NAME)
        assert (version.number, version.stage, found) == (number, "champion", content)


@pytest.mark.parametrize("number", [2, 0])
def test_a_version_that_is_not_there_is_named_with_its_field(context, number):
    train(context)
    with pytest.raises(InvalidData, match=f"no version {number} of a model") as caught:
        registry.load(context, NAME, number, field="/params/members/0")
    assert pointer(caught) == "/params/members/0"


def test_another_tenant_s_version_is_not_there(context, other_tenant_id):
    train(context)
    stranger = FakeContext(
        tenant_id=other_tenant_id,
        database=context.database,
        artifacts=context.artifacts,
    )
    with pytest.raises(InvalidData, match="there is no version 1"):
        registry.load(stranger, NAME, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "is not in file; it was kept in file"), (b"x", "is damaged")],
)
def test_an_artifact_that_is_gone_or_damaged_is_never_used(context, content, words):
    train(context, b"fitted")
    damage(context, registry.keep(context, b"fitted").sha256, content)
    with pytest.raises(InvalidData, match=words) as caught:
        registry.load(context, NAME, 1)
    assert pointer(caught) == "/params/model"


def test_numbers_that_json_cannot_hold_are_kept_as_missing(context):
    metrics = {"mase": math.nan, "wql": math.inf, "mae": np.float64(0.25)}
    compared = {"version": 1, "metrics": {"mase": -math.inf, "mae": 1.0}}
    number = train(context, metrics=metrics, compared=compared)
    version, _ = registry.load(context, NAME, number)
    assert orjson.loads(orjson.dumps(version.metrics)) == version.metrics
    found = version.metrics
    assert (found["mase"], found["wql"], found["mae"]) == (None, None, 0.25)
    assert version.compared == {"version": 1, "metrics": {"mase": None, "mae": 1.0}}


@pytest.mark.parametrize("name", ["", "Load", "a/b", "-a", "a" * 101, "a\n", "ä"])
def test_a_name_that_no_address_can_hold_is_refused(context, name):
    with pytest.raises(InvalidData, match="cannot be the name") as caught:
        train(context, name=name)
    assert pointer(caught) == "/params/name"


def test_an_empty_data_window_is_refused(context):
    end = trained.new().window_end
    for start in (end, end + timedelta(seconds=1)):
        with pytest.raises(InvalidData, match="data window is empty"):
            train(context, window_start=start)


def findings(context: FakeContext, store: ArtifactStore | None = None):
    with context.read() as connection:
        return registry.audit(
            connection,
            tenant_id=context.tenant_id,
            store=store or context.artifact_store,
        )


def test_a_store_that_holds_what_is_registered_has_nothing_to_find(context):
    assert findings(context) == registry.Findings((), (), ())
    train(context, b"one")
    train(context, b"one")
    train(context, b"two", name="other")
    assert findings(context) == registry.Findings((), (), ())


def test_the_audit_finds_orphans_and_what_is_missing_or_damaged(context):
    for content in (b"one", b"two", b"three"):
        train(context, content)
    orphan = registry.keep(context, b"its job died before it was registered").sha256
    missing, damaged = (
        registry.keep(context, content).sha256 for content in (b"one", b"two")
    )
    damage(context, missing, None)
    damage(context, damaged, b"other bytes")
    found = findings(context)
    assert found.orphans == (orphan,)
    assert found.missing == ((NAME, 1, missing),)
    assert found.damaged == ((NAME, 2, damaged),)
    shutil.rmtree(context.artifacts / "models")
    assert [number for _, number, _ in findings(context).missing] == [1, 2, 3]
