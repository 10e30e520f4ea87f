"""The private servers are private, come back after a crash and leave nothing behind."""

import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import amqp
import psutil
import psycopg
import pytest
import redis

from tests.servers.directory import PREFIX, sweep
from tests.servers.ports import EPHEMERAL_RANGE, free_port
from tests.servers.postgres import ODD_TIMEZONE, PostgresServer
from tests.servers.process import POLL_S, NotReadyError, lives
from tests.servers.redis import RedisServer

pytestmark = pytest.mark.servers


def test_a_free_port_can_be_bound_and_is_not_ephemeral():
    port = free_port()
    assert port < int(EPHEMERAL_RANGE.read_text().split()[0])
    with socket.create_server(("127.0.0.1", port)) as server:
        assert server.getsockname()[1] == port


class TestPostgres:
    def test_the_time_zone_is_far_from_utc(self, postgres_server):
        with psycopg.connect(postgres_server.url()) as connection:
            assert connection.execute("SHOW timezone").fetchone() == (ODD_TIMEZONE,)

    def test_a_database_made_from_a_template_has_its_rows(self, postgres_server):
        template = postgres_server.create_database("servers_template")
        with psycopg.connect(template) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        clone = postgres_server.create_database(
            "servers_clone", template="servers_template"
        )
        with psycopg.connect(clone) as connection:
            assert connection.execute("SELECT number FROM kept").fetchall() == [(7,)]
        postgres_server.drop_database("servers_clone")
        postgres_server.drop_database("servers_template")
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            psycopg.connect(clone)

    def test_dropping_a_database_ends_the_connections_to_it(self, postgres_server):
        url = postgres_server.create_database("servers_busy")
        with psycopg.connect(url, autocommit=True) as connection:
            postgres_server.drop_database("servers_busy")
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")

    def test_committed_rows_outlive_a_kill_and_all_its_processes_end(self):
        with PostgresServer(fsync=True) as server:
            with psycopg.connect(server.url()) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
            family = psutil.Process(server.pid).children(recursive=True)
            server.kill()
            assert not server.is_running()
            assert not any(map(lives, family))
            server.start()
            with psycopg.connect(server.url()) as connection:
                rows = connection.execute("SELECT number FROM kept").fetchall()
            assert rows == [(7,)]


class TestRabbitMQ:
    def test_a_queue_of_a_new_virtual_host_has_a_depth(self, rabbitmq_server):
        url = rabbitmq_server.add_vhost("servers-depth")
        assert url.endswith("/servers-depth")
        _publish(rabbitmq_server.port, "servers-depth", count=3)
        assert rabbitmq_server.queue_depth("kept", vhost="servers-depth") == 3
        with pytest.raises(amqp.NotFound):
            rabbitmq_server.queue_depth("never-declared")
        rabbitmq_server.delete_vhost("servers-depth")
        with pytest.raises(RuntimeError, match="servers-depth"):
            rabbitmq_server.delete_vhost("servers-depth")

    def test_confirmed_messages_outlive_a_kill(self, rabbitmq_server):
        rabbitmq_server.add_vhost("servers-kill")
        _publish(rabbitmq_server.port, "servers-kill", count=2)
        rabbitmq_server.kill(signal.SIGKILL)
        assert not rabbitmq_server.is_running()
        assert not rabbitmq_server.answers()
        rabbitmq_server.start()
        assert rabbitmq_server.queue_depth("kept", vhost="servers-kill") == 2
        rabbitmq_server.delete_vhost("servers-kill")

    def test_a_long_task_may_hold_its_message_for_a_day(self, rabbitmq_server):
        asked = "application:get_env(rabbit, consumer_timeout)."
        assert rabbitmq_server.ctl("eval", asked).strip() == "{ok,86400000}"


class TestRedis:
    def test_nothing_is_kept_over_a_restart(self, redis_server):
        with redis.Redis.from_url(redis_server.url()) as client:
            client.set("kept", "7")
            assert client.get("kept") == b"7"
            redis_server.restart()
            assert client.get("kept") is None

    def test_emptying_one_database_spares_the_others(self, redis_server):
        with (
            redis.Redis.from_url(redis_server.url(2)) as two,
            redis.Redis.from_url(redis_server.url(3)) as three,
        ):
            two.set("kept", "2")
            three.set("kept", "3")
            redis_server.empty(2)
            assert (two.get("kept"), three.get("kept")) == (None, b"3")


class TestAnyServer:
    def test_a_server_that_cannot_start_shows_its_log(self):
        server = RedisServer()
        server._command = lambda: ["redis-server", "--no-such-setting", "1"]
        try:
            with pytest.raises(NotReadyError, match=r"(?s)has ended.*no-such-setting"):
                server.start()
        finally:
            server.close()

    def test_closing_twice_leaves_no_folder_and_no_listener(self):
        server = RedisServer().start()
        directory = server.directory
        server.close()
        server.close()
        assert not directory.exists()
        assert not server.answers()
        assert server.pid is None

    def test_the_copy_of_a_server_in_a_forked_child_does_not_end_it(self, monkeypatch):
        with RedisServer() as server:
            monkeypatch.setattr(server, "_creator", 0)
            server.close()
            assert server.answers()
            monkeypatch.undo()

    def test_a_server_started_in_a_thread_outlives_the_thread(self):
        server = RedisServer()
        thread = threading.Thread(target=server.start)
        thread.start()
        thread.join()
        try:
            assert server.answers()
        finally:
            server.close()

    def test_a_killed_test_run_takes_its_servers_along(self):
        program = """
            import os, signal
            from tests.servers.postgres import PostgresServer
            from tests.servers.redis import RedisServer
            servers = [PostgresServer().start(), RedisServer().start()]
            for server in servers:
                print(server.pid, server.directory)
            os.kill(os.getpid(), signal.SIGKILL)
        """
        run = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == -signal.SIGKILL, run.stderr
        started = [line.split() for line in run.stdout.splitlines()]
        assert len(started) == 2
        assert all(_ends(int(pid)) for pid, _ in started)
        sweep()
        assert not any(Path(directory).exists() for _, directory in started)

    def test_a_sweep_spares_the_folder_of_a_living_run(self, redis_server):
        sweep()
        assert redis_server.directory.name.startswith(PREFIX)
        assert redis_server.log.exists()


@pytest.mark.browser
class TestChromium:
    PAGE = "data:text/html,<title>page</title><script>console.error('planted')</script>"

    def test_it_shows_a_page_and_keeps_what_the_console_got(self, chromium):
        driver = chromium(width=900, height=700)
        driver.get(self.PAGE)
        assert driver.title == "page"
        assert driver.get_window_size() == {"width": 900, "height": 700}
        [entry] = driver.get_log("browser")
        assert "planted" in entry["message"]

    def test_two_browsers_share_nothing(self, chromium):
        first, second = chromium(), chromium()
        folders = {
            driver.capabilities["chrome"]["userDataDir"] for driver in (first, second)
        }
        assert len(folders) == 2


def _ends(pid: int) -> bool:
    """Wait a few seconds for the end of a process that is no child of ours."""
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return True
    deadline = time.monotonic() + 10
    while lives(process) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return not lives(process)


def _publish(port: int, vhost: str, *, count: int) -> None:
    """Publish persistent, confirmed messages to the durable queue ``kept``."""
    with amqp.Connection(
        host=f"127.0.0.1:{port}", virtual_host=vhost, confirm_publish=True
    ) as connection:
        channel = connection.channel()
        channel.queue_declare("kept", durable=True, auto_delete=False)
        for number in range(count):
            message = amqp.Message(str(number), delivery_mode=2)
            channel.basic_publish_confirm(message, routing_key="kept")
