"""RabbitMQ for tests: a broker of our own, with ports, data and a name service that end with it."""

import os
import shutil
import socket
from pathlib import Path

from tests.servers import RABBITMQ, Server, folder, free_port, group_of

HOST = "127.0.0.1"


def rabbitmq(*, private: bool = False) -> Server | None:
    """What `TEST_AMQP_URL` names or, where `private` or nothing is named, a broker started now, which takes seconds.
    None where it can't be had."""
    if not private and (given := os.environ.get("TEST_AMQP_URL")):
        return Server(given)
    epmd = shutil.which("epmd")
    if epmd is None or not RABBITMQ.exists():
        return None
    return Broker(epmd)


class Broker(Server):
    """As `nobody` where we are root. The name service is started first, in the foreground and on a port of our own:
    otherwise the broker starts one that nobody ends."""

    def __init__(self, epmd: str) -> None:
        user = "nobody" if os.geteuid() == 0 else None
        port, names = free_port(), free_port()
        command = [epmd, "-port", str(names), "-address", HOST]
        self._names = Server(f"{HOST}:{names}", command, folder("epmd", user), answers=_accepts, user=user)
        place = folder("rabbitmq", user)
        super().__init__(
            f"amqp://guest:guest@{HOST}:{port}",
            [str(RABBITMQ)],
            place,
            answers=_answers,
            user=user,
            environ=_settings(place, user, port, names),
        )

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[arg-type]
        self._names.__exit__(*error)  # type: ignore[arg-type]


def _settings(place: Path, user: str | None, port: int, names: int) -> dict[str, str]:
    for name in ("home", "data", "logs"):
        (place / name).mkdir()
        if user:
            shutil.chown(place / name, user, group_of(user))
    (place / "rabbitmq.conf").write_text("disk_free_limit.absolute = 1MB\n")
    (place / "plugins").write_text("[].")
    return {
        "HOME": str(place / "home"),
        "ERL_EPMD_PORT": str(names),
        "ERL_EPMD_ADDRESS": HOST,
        "RABBITMQ_NODENAME": f"conclave{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": HOST,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(place / "data"),
        "RABBITMQ_LOG_BASE": str(place / "logs"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": str(place / "pid"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(place / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +Bd -kernel inet_dist_use_interface {127,0,0,1}",
        "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the broker, instead of minding it from another process
    }


def _address(url: str) -> tuple[str, int]:
    return HOST, int(url.rpartition(":")[2])


def _answers(url: str) -> bool:
    """It accepts connections before it serves: only then does it answer the protocol's greeting."""
    try:
        with socket.create_connection(_address(url), timeout=2) as connection:
            connection.sendall(b"AMQP\0\0\x09\x01")
            return connection.recv(1) == b"\x01"
    except OSError:
        return False


def _accepts(url: str) -> bool:
    try:
        socket.create_connection(_address(url), timeout=2).close()
    except OSError:
        return False
    return True
