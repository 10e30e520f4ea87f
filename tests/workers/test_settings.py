"""Celery's settings: what keeps a message, and which queues there are."""

from dataclasses import replace

import pytest

from tasks.catalog import QUEUES, job_types
from workers.settings import make_app

AMQP = "amqp://guest@127.0.0.1/forebay"


@pytest.fixture
def production(settings):
    return replace(settings, broker_url=AMQP)


def test_every_queue_of_the_catalogue_is_consumed_and_no_other(production):
    app = make_app(production)
    assert set(app.amqp.queues) == set(QUEUES)
    assert not app.conf.task_create_missing_queues


def test_every_job_type_is_routed_to_its_queue(production):
    app = make_app(production)
    assert app.conf.task_routes == {
        name: {"queue": kind.queue} for name, kind in job_types().items()
    }


@pytest.mark.parametrize(
    ("queue_type", "arguments"),
    [
        ("classic", {"x-queue-type": "classic"}),
        (
            "quorum",
            {
                "x-queue-type": "quorum",
                "x-delivery-limit": 10,
                "x-overflow": "reject-publish",
            },
        ),
    ],
)
def test_queues_are_of_the_type_that_was_chosen(production, queue_type, arguments):
    app = make_app(replace(production, queue_type=queue_type))
    for queue in app.amqp.queues.values():
        assert queue.queue_arguments == arguments
        assert queue.durable


def test_a_message_is_acknowledged_late_and_one_at_a_time(production):
    conf = make_app(production).conf
    assert conf.task_acks_late
    assert conf.worker_prefetch_multiplier == 1
    assert not conf.task_reject_on_worker_lost  # a tight loop; the claim decides
    assert conf.broker_transport_options["confirm_publish"]


def test_results_are_kept_in_the_database_alone(production):
    conf = make_app(production).conf
    assert conf.result_backend is None
    assert conf.task_ignore_result


def test_only_json_is_spoken(production):
    conf = make_app(production).conf
    assert (conf.task_serializer, conf.accept_content) == ("json", ["json"])
    assert (conf.timezone, conf.enable_utc) == ("UTC", True)


def test_a_stopped_worker_waits_as_long_as_the_settings_say(production):
    conf = make_app(replace(production, shutdown_s=7)).conf
    assert conf.worker_soft_shutdown_timeout == 7


def test_children_are_spawned_so_that_no_threads_are_forked(production):
    assert make_app(production).conf.worker_pool_start_method == "spawn"


def test_the_embedded_profile_uses_folders_and_makes_them(settings, tmp_path):
    options = make_app(settings).conf.broker_transport_options
    folder = tmp_path / "broker"
    assert options["data_folder_in"] == options["data_folder_out"]
    assert options["data_folder_in"] == str(folder / "messages")
    assert options["control_folder"] == str(folder / "control")
    assert (folder / "messages").is_dir()
    assert (folder / "control").is_dir()
    assert options["polling_interval"] < 0.1
