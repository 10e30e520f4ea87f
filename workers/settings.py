"""Celery's settings from ours, and its queues from the catalogue.

The reasons behind each setting are in docs/adr/0005-celery-settings.md.
"""

from pathlib import Path
from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from tasks.catalog import QUEUES, job_types
from tasks.settings import Settings

POLLING_INTERVAL_S = 0.02  # of the filesystem transport; its default is a second
_DELIVERY_LIMIT = 10
_DAY_S = 86_400


def make_app(settings: Settings) -> Celery:
    """Return the application for these settings; nothing connects yet."""
    app = Celery("forebay", broker=settings.broker_url, set_as_current=True)
    app.conf.update(_common(settings))
    app.conf.update(_embedded(settings) if settings.embedded else _rabbitmq())
    app.conf.task_queues = [
        Queue(
            name,
            Exchange("jobs", "topic" if not settings.embedded else "direct"),
            routing_key=name,
            queue_arguments=None if settings.embedded else _arguments(settings),
        )
        for name in QUEUES
    ]
    app.conf.task_routes = {
        kind.name: {"queue": kind.queue} for kind in job_types().values()
    }
    return app


def declare_queues(app: Celery, connection: Any) -> None:
    """Make every queue of the catalogue exist on the broker of a connection."""
    channel = connection.default_channel
    for queue in app.amqp.queues.values():
        queue(channel).declare()


def _common(settings: Settings) -> dict[str, Any]:
    return {
        "result_backend": None,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "enable_utc": True,
        "timezone": "UTC",
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_heartbeat": 30,
        "broker_pool_acquire_timeout": 5,
        "task_create_missing_queues": False,
        "task_default_exchange": "jobs",
        "task_default_exchange_type": "topic" if not settings.embedded else "direct",
        "task_default_queue": "system",
        "task_acks_late": True,
        "task_reject_on_worker_lost": False,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_soft_shutdown_timeout": settings.shutdown_s,
        "worker_enable_soft_shutdown_on_idle": False,
        "worker_proc_alive_timeout": 60,
        "worker_lost_wait": 2.0,
        "worker_max_tasks_per_child": 2_000,
        "worker_max_memory_per_child": 1_500_000,
        "worker_hijack_root_logger": False,
        "worker_send_task_events": True,
        "task_send_sent_event": False,
        "worker_pool_start_method": "spawn",
    }


def _rabbitmq() -> dict[str, Any]:
    return {
        "broker_transport_options": {"confirm_publish": True},
        "control_queue_exclusive": False,
        "control_queue_durable": True,
        "event_queue_exclusive": True,
    }


def _embedded(settings: Settings) -> dict[str, Any]:
    folder = Path(settings.broker_folder)
    for part in ("messages", "control"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    return {
        "broker_transport": "workers.folder_transport:Transport",
        "broker_transport_options": {
            "data_folder_in": str(folder / "messages"),
            "data_folder_out": str(folder / "messages"),
            "control_folder": str(folder / "control"),
            "polling_interval": POLLING_INTERVAL_S,
        },
    }


def _arguments(settings: Settings) -> dict[str, Any]:
    if settings.queue_type == "classic":
        return {"x-queue-type": "classic"}
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": _DELIVERY_LIMIT,
        "x-overflow": "reject-publish",
    }
