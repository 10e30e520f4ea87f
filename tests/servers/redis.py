"""A private Redis that keeps nothing; only tests of Celery's own plugin need one."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers.server import Server


class RedisClient:
    """What a test asks of any Redis it owns, whoever started it."""

    port: int

    def url(self, number: int = 0) -> str:
        """Return the address of a numbered database."""
        return f"redis://127.0.0.1:{self.port}/{number}"

    def answers(self) -> bool:
        """Tell whether a ping comes back."""
        # The client's own retries would make each "no" take a second.
        once = Retry(NoBackoff(), 0)
        with redis.Redis(port=self.port, socket_timeout=5, retry=once) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    def empty(self, number: int = 0) -> None:
        """Delete all keys of a numbered database."""
        with redis.Redis(port=self.port, db=number) as client:
            client.flushdb()


class RedisServer(RedisClient, Server):
    """Redis from the Debian packages."""

    name = "redis"

    def _command(self) -> list[str]:
        options = {"port": str(self.port), "bind": "127.0.0.1", "appendonly": "no"}
        flags = [
            part for name, value in options.items() for part in (f"--{name}", value)
        ]
        return ["redis-server", *flags, "--save", ""]
