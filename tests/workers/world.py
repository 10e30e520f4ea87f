"""A sender of webhooks in a world whose clock and name servers are the test's."""

import json
import socket
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from db import deliveries, webhooks
from db.deliveries import ENQUEUE, Delivery
from db.ids import new_id
from db.webhooks import NewWebhook
from tasks.webhooks import body_of_test
from tests.db import rows
from tests.db.patience import until
from workers.deliverer import Deliverer, Outside

KINDS = ["succeeded", "failed", "cancelled"]


@dataclass
class World:
    """The sender, what it sends to whom, and what came of it."""

    database: Any
    settings: Any
    tenant_id: int
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    addresses: dict[str, list[list[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.deliverer = self.another()

    def another(self, **changed) -> Deliverer:
        outside = Outside(now=lambda: self.now, resolve=self._resolve, draw=lambda: 0.0)
        settings = replace(self.settings, **changed)
        return Deliverer(self.database, settings, outside=outside)

    def _resolve(self, host, port, **more):
        if host not in self.addresses:
            return socket.getaddrinfo(host, port, **more)
        answer = self.addresses[host].pop(0)
        return [(socket.AF_INET, 1, 6, "", (one, port)) for one in answer]

    def webhook(self, url: str, *, tenant_id: int | None = None) -> str:
        new = NewWebhook(new_id("whk"), url, KINDS, "")
        tenant_id = tenant_id or self.tenant_id
        with self.database.tenant(tenant_id) as connection:
            webhooks.create(connection, tenant_id=tenant_id, new=new, most=99)
        return new.id

    def tell(self, kind: str = "succeeded", *, tenant_id: int | None = None) -> str:
        """Let a new job have an event of its end; return the job's id."""
        tenant_id = tenant_id or self.tenant_id
        job_id = rows.queued(self.database, tenant_id, labels={"a": "b"})
        body = {"state": kind, "attempt": 1}
        statement = f"""
            WITH event AS (
                INSERT INTO job_events (tenant_id, job_id, at, kind, body)
                SELECT :tenant, :job, now(), :kind, CAST(:body AS json)
                RETURNING id, tenant_id, job_id, kind
            ), moved AS (SELECT id, parent_id FROM jobs WHERE id = :job
            ), {ENQUEUE} SELECT count(*) FROM event"""
        with self.database.system() as connection:
            connection.execute(
                text(statement),
                {
                    "tenant": tenant_id,
                    "job": job_id,
                    "kind": kind,
                    "body": json.dumps(body),
                },
            )
        self.now = max(self.now, datetime.now(UTC))
        return job_id

    def test(self, webhook_id: str) -> str:
        delivery_id = new_id("whd")
        with self.database.tenant(self.tenant_id) as connection:
            deliveries.add_test(
                connection,
                tenant_id=self.tenant_id,
                webhook_id=webhook_id,
                delivery_id=delivery_id,
                body=body_of_test(webhook_id, now=self.now),
            )
        self.now = max(self.now, datetime.now(UTC))
        return delivery_id

    def look(self) -> int:
        """Claim once, and wait until what was claimed has been sent."""
        claimed = self.deliverer.look()
        until(lambda: not self.deliverer.sending)
        return claimed

    def of(self, webhook_id: str) -> list[Delivery]:
        """The deliveries of a webhook, the oldest first."""
        with self.database.tenant(self.tenant_id) as connection:
            found = deliveries.page(
                connection,
                tenant_id=self.tenant_id,
                webhook_id=webhook_id,
                state=None,
                before=None,
                limit=100,
            )
        return found[::-1]

    def only(self, webhook_id: str) -> Delivery:
        (found,) = self.of(webhook_id)
        return found

    def log(self, delivery_id: str) -> list[tuple[int | None, str | None]]:
        with self.database.tenant(self.tenant_id) as connection:
            found = deliveries.attempts(
                connection, tenant_id=self.tenant_id, delivery_id=delivery_id
            )
        return [(one.status, one.error) for one in found]
