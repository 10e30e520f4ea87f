"""Feedback: labels that count until they are taken back."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from db import feedback
from db.feedback import Label, NewLabel
from tests.db import rows
from tests.db.rows import AT

pytestmark = pytest.mark.servers

HOUR = timedelta(hours=1)


@pytest.fixture
def give(database, tenant_id):
    def run(series_id: int, at: int, label="true", *, hours=1) -> Label:
        start = AT + at * HOUR
        new = NewLabel(series_id, start, start + hours * HOUR, label, note="n")
        with database.tenant(tenant_id) as connection:
            return feedback.add(connection, tenant_id=tenant_id, new=new, now=AT)

    return run


def of_series(database, tenant_id, *ids) -> dict[int, list[Label]]:
    with database.tenant(tenant_id) as connection:
        return feedback.of_series(connection, tenant_id=tenant_id, series_ids=ids)


def test_labels_come_by_series_in_the_order_of_their_starts(
    database, tenant_id, other_tenant_id, give
):
    east, west = (rows.series(database, tenant_id, one) for one in "ab")
    late, early = give(east, 5), give(east, 1, "expected")
    assert of_series(database, tenant_id, east, west) == {
        east: [early, late],
        west: [],
    }
    assert of_series(database, other_tenant_id, east) == {east: []}


def test_a_label_that_was_taken_back_counts_no_more_and_stays(
    database, tenant_id, give
):
    east = rows.series(database, tenant_id)
    made = give(east, 0, "false")
    for new in (True, False):
        with database.tenant(tenant_id) as connection:
            assert new is feedback.revoke(
                connection,
                tenant_id=tenant_id,
                label_id=made.id,
                key_id="k",
                now=AT + HOUR,
            )
            found = feedback.find(connection, tenant_id=tenant_id, label_id=made.id)
    assert (found.revoked_at, found.revoked_by) == (AT + HOUR, "k")
    assert of_series(database, tenant_id, east) == {east: []}


def test_an_empty_stretch_and_an_unknown_label_are_refused(database, tenant_id, give):
    east = rows.series(database, tenant_id)
    with pytest.raises(IntegrityError, match="ck_feedback_span"):
        give(east, 0, hours=0)
    with pytest.raises(IntegrityError, match="ck_feedback_label"):
        give(east, 0, "maybe")
