"""End the connections that a Celery application of a test would leave open.

Celery gives them back to the operating system at interpreter exit; with warnings as
errors an open socket fails the run before that.
"""

import contextlib

from amqp import AMQPError
from celery import Celery
from celery.backends.rpc import RPCBackend


def close_connections(app: Celery) -> None:
    """Close the application's producers, connections and result consumer."""
    app.amqp.producer_pool.force_close_all()
    app.pool.force_close_all()
    consumer = app.backend.result_consumer if _consumes_results(app) else None
    # Nobody waited for a result if there is no consumer inside the consumer.
    if consumer is not None and consumer._consumer is not None:
        # A test may have killed the broker since, and nobody is left to tell.
        with contextlib.suppress(OSError, AMQPError):
            consumer.stop()


def _consumes_results(app: Celery) -> bool:
    # The other result backends hold no AMQP connection.
    return isinstance(app.backend, RPCBackend)
