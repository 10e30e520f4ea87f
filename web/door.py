"""What the HTTP door holds for the length of the process, and of a request."""

from dataclasses import dataclass
from typing import cast

from flask import current_app, g

from db.keys import Identity
from db.session import Database
from tasks.settings import Settings
from web.rates import Rates
from web.stream import Hub


@dataclass(frozen=True)
class Door:
    """The process's settings, database pool and hub of waiting requests."""

    settings: Settings
    database: Database
    hub: Hub
    rates: Rates

    def close(self) -> None:
        """End the hub's thread and the pool; the application is of no use then."""
        self.hub.close()
        self.database.close()


def door() -> Door:
    """Return the door of the running application."""
    return cast(Door, current_app.extensions["forebay"])


def identity() -> Identity:
    """Return whom the request speaks for; the guard has put it there."""
    return cast(Identity, g.identity)
