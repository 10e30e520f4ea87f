"""Who did what."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from db import audit
from tests.db import rows

pytestmark = pytest.mark.servers


def _record(database, tenant_id, action="key.issue", **more) -> None:
    with database.tenant(tenant_id) as connection:
        audit.record(
            connection, tenant_id=tenant_id, key_id="key_1", action=action, **more
        )


def _page(database, tenant_id, before=None, limit=10) -> list[audit.Entry]:
    with database.tenant(tenant_id) as connection:
        return audit.page(connection, tenant_id=tenant_id, before=before, limit=limit)


def test_an_act_is_kept_with_its_key_and_its_detail(database, tenant_id):
    _record(database, tenant_id, target="key_2", detail={"role": "member"})
    (entry,) = _page(database, tenant_id)
    assert (entry.key_id, entry.action, entry.target) == (
        "key_1",
        "key.issue",
        "key_2",
    )
    assert entry.detail == {"role": "member"}
    assert entry.at.utcoffset().total_seconds() == 0


def test_an_act_may_have_no_key_no_target_and_no_detail(database, tenant_id):
    with database.system() as connection:
        audit.record(connection, tenant_id=tenant_id, key_id=None, action="limits.put")
    (entry,) = _page(database, tenant_id)
    assert (entry.key_id, entry.target, entry.detail) == (None, None, {})


def test_a_page_holds_the_newest_acts_of_the_tenant(
    database, tenant_id, other_tenant_id
):
    _record(database, other_tenant_id)
    for number in range(5):
        _record(database, tenant_id, action=f"act.{number}")
    first = _page(database, tenant_id, limit=2)
    rest = _page(database, tenant_id, before=first[-1].id)
    assert [one.action for one in first + rest] == [
        f"act.{number}" for number in (4, 3, 2, 1, 0)
    ]


def test_an_act_that_is_rolled_back_is_not_on_the_record(database, tenant_id):
    def act_and_fail() -> None:
        with database.tenant(tenant_id) as connection:
            audit.record(connection, tenant_id=tenant_id, key_id=None, action="x")
            raise KeyError

    with pytest.raises(KeyError):
        act_and_fail()
    assert rows.value(database, "SELECT count(*) FROM audit") == 0


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET action = 'x'", "DELETE FROM audit"]
)
def test_a_tenant_cannot_change_the_record(database, tenant_id, statement):
    _record(database, tenant_id)
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        database.tenant(tenant_id) as connection,
    ):
        connection.execute(text(statement))
    assert len(_page(database, tenant_id)) == 1
