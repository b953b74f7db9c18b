"""The production server, its workers, and the servers that tests stand on: as real processes."""

import collections
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests import environment, servers
from tests.processes import Process, Stack

pytestmark = [pytest.mark.once, pytest.mark.aside]

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


@pytest.fixture(scope="module")
def embedded() -> Iterator[Stack]:
    with Stack("embedded") as stack:
        yield stack


@pytest.fixture(scope="module")
def server(embedded: Stack) -> Process:
    return embedded.serve()[0]


def get(url: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read().decode(), dict(problem.headers)


def open_socket(server: Process) -> ClientConnection:
    return connect(f"{server.ws_url}/ws/v1/acme/", subprotocols=["conclave.v1"])


def close_code(connection: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        collections.deque(iter(lambda: connection.recv(timeout=15), None), maxlen=0)
    return closed.value.rcvd.code if closed.value.rcvd else None


def alive(processes: list[int]) -> list[int]:
    return [process for process in processes if Path(f"/proc/{process}").exists()]


def outcome(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    environ = environment.plain() | {"PATH": os.environ["PATH"]} | settings
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)


# --- what tests stand on


@pytest.mark.parametrize("start", [servers.postgres, servers.redis])
def test_a_server_of_our_own_can_be_paused_restarted_and_stopped(start):
    server = start(private=True)
    if server is None:
        pytest.skip(f"no {start.__name__}")
    with server:
        assert server._answers(server.url)
        server.pause()
        assert not server._answers(server.url)
        server.resume()
        assert server._answers(server.url)
        server.restart()
        assert server._answers(server.url)
    assert not server._answers(server.url)


def test_postgresql_keeps_its_data_over_a_restart():
    server = servers.postgres(private=True)
    if server is None:
        pytest.skip("no PostgreSQL")
    with server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (n int)")
        server.restart()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_each_stack_has_a_database_of_its_own():
    with Stack("embedded") as one, Stack("embedded") as other:
        made = one.manage("createsuperuser", "--noinput", "--email=a@one.test", DJANGO_SUPERUSER_PASSWORD="x" * 12)
        assert made.returncode == 0
        count = "from accounts.models import User; print(User.objects.count())"
        assert one.manage("shell", "--no-imports", "-c", count).stdout.strip() == "1"
        assert other.manage("shell", "--no-imports", "-c", count).stdout.strip() == "0"


# --- probes and figures


def test_the_probes_tell_that_it_is_up_and_ready(server):
    assert get(f"{server.url}/livez")[0] == 200
    status, body, headers = get(f"{server.url}/readyz")
    assert (status, json.loads(body)) == (200, {"status": "ok"})
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers


def test_a_database_without_its_tables_is_not_ready(embedded):
    with Stack("embedded") as stack:
        stack.environ["DATABASE_URL"] = f"sqlite:///{stack.folder}/empty.sqlite3"
        status, body, _ = get(f"{stack.serve()[0].url}/readyz")
        assert (status, json.loads(body)["reason"]) == (503, "migrations")


def test_a_lost_layer_is_named_and_a_lost_database_is_not_ready():
    with Stack("real", own_database=True) as stack:
        [server] = stack.serve()
        assert json.loads(get(f"{server.url}/readyz")[1]) == {"status": "ok"}
        stack.redis.stop()
        time.sleep(1.1)
        status, body, _ = get(f"{server.url}/readyz")
        assert (status, json.loads(body)) == (200, {"status": "ok", "degraded": ["layer"]})
        stack.redis.start()
        stack.postgres.stop()
        time.sleep(1.1)
        assert get(f"{server.url}/readyz")[0] == 503
        assert get(f"{server.url}/livez")[0] == 200
        stack.postgres.start()
        deadline = time.monotonic() + 20
        while json.loads(get(f"{server.url}/readyz")[1]) != {"status": "ok"}:
            assert time.monotonic() < deadline
            time.sleep(0.5)


def test_the_figures_need_the_token(embedded):
    with Stack("embedded", METRICS_TOKEN="t" * 32) as stack:
        [server] = stack.serve()
        assert get(f"{server.url}/metrics")[0] == 401
        assert get(f"{server.url}/metrics", Authorization="Bearer wrong")[0] == 401
        status, body, _ = get(f"{server.url}/metrics", Authorization="Bearer " + "t" * 32)
        assert status == 200
        assert "conclave_http_requests_total" in body


def test_without_the_setting_there_are_no_figures(server):
    assert get(f"{server.url}/metrics", Authorization="Bearer ")[0] == 404


def test_the_figures_have_a_listener_of_their_own(embedded):
    port = servers.free_port()
    embedded.serve(1, "serve", f"--metrics=127.0.0.1:{port}")
    assert "conclave_sockets" in get(f"http://127.0.0.1:{port}/metrics")[1]


# --- the server


@pytest.mark.parametrize("command", ["serve", "daphne", "uvicorn"])
def test_every_server_that_is_promised_answers(embedded, command):
    [server] = embedded.serve(1, command)
    assert get(f"{server.url}/readyz")[0] == 200
    with open_socket(server) as stranger:
        assert close_code(stranger) == 4401


def test_it_says_where_it_is_ready(server):
    assert f"Conclave is ready at http://localhost:{server.port}" in server.log_text()


def test_a_body_without_end_is_refused(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"POST /api/v1/me/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n",
        b"Sec-WebSocket-Version: 99\r\nSec-WebSocket-Key: " + KEY + b"\r\n",
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: caf\xe9\r\nSec-WebSocket-Key: " + KEY + b"\r\n",
    ],
)
def test_a_broken_handshake_is_a_400_and_no_error(server, headers):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(
            b"GET /ws/v1/acme/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n" + headers + b"\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert "Traceback" not in server.log_text()


def test_a_root_path_from_a_stranger_is_not_believed(server):
    status, _, headers = get(f"{server.url}/accounts/profile/", **{"Daphne-Root-Path": "/evil"})
    assert status == 200 or "evil" not in headers.get("Location", "")


def test_the_log_holds_no_query_and_no_key_of_an_invitation(server):
    get(f"{server.url}/invite/verysecretinvitation/?token=verysecretquery")
    text = server.log_text()
    assert "path=/invite/" in text
    assert "verysecret" not in text


def test_sigterm_ends_it_in_time(embedded):
    [server] = embedded.serve()
    began = time.monotonic()
    assert server.terminate() == 0
    assert time.monotonic() - began < 10


# --- workers


def test_several_workers_share_a_port_and_a_dead_one_comes_back():
    with Stack("real") as stack:
        [parent] = stack.serve(1, "serve", "--workers=2")
        while "Conclave is ready" not in parent.log_text():
            time.sleep(0.1)
        first, second = servers._children(parent.popen.pid)
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while first in (now := servers._children(parent.popen.pid)) or len(now) < 2:
            assert get(f"{parent.url}/livez")[0] == 200
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert second in now
        assert parent.terminate() == 0
        assert not alive(now)


def test_sighup_restarts_one_worker_after_the_other_while_the_rest_serve():
    with Stack("real") as stack:
        [parent] = stack.serve(1, "serve", "--workers=2")
        while "Conclave is ready" not in parent.log_text():
            time.sleep(0.1)
        before = set(servers._children(parent.popen.pid))
        parent.popen.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while before & set(now := servers._children(parent.popen.pid)) or len(now) < 2:
            assert now, "someone always serves"
            assert get(f"{parent.url}/livez")[0] == 200
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert parent.terminate() == 0


def test_workers_end_with_a_parent_that_was_killed():
    with Stack("real") as stack:
        [parent] = stack.serve(1, "serve", "--workers=2")
        while "Conclave is ready" not in parent.log_text():
            time.sleep(0.1)
        workers = servers._children(parent.popen.pid)
        parent.kill()
        deadline = time.monotonic() + 15
        while alive(workers):
            assert time.monotonic() < deadline
            time.sleep(0.1)


# --- wrong settings


@pytest.mark.parametrize(
    ("arguments", "settings", "names"),
    [
        (["serve", "--workers=2"], {}, "--workers"),
        (["serve", "--workers=0"], {}, "--workers"),
        (["serve", "--metrics=9090"], {}, "--metrics"),
        (["serve", "--port=99999"], {}, "--port"),
        (["serve"], {"SECRET_KEY": "short"}, "SECRET_KEY"),
        (["serve"], {"DATABASE_URL": "mysql://here/there"}, "DATABASE_URL"),
        (["serve"], {"CHANNELS_URL": "carrier-pigeon://"}, "CHANNELS_URL"),
        (["serve"], {"PUBLIC_URL": "nowhere"}, "PUBLIC_URL"),
        (["serve"], {"RATE_LIMIT_FACTOR": "-1"}, "RATE_LIMIT_FACTOR"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(arguments, settings, names):
    done = outcome(*arguments, **settings)
    assert done.returncode
    assert names in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_port_that_is_taken_is_one_line_too(server):
    done = outcome("serve", f"--port={server.port}")
    assert done.returncode
    assert str(server.port) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
