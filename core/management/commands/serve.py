"""`manage.py serve`: the production server, alone or as several workers on one port."""

import io
import socket
import sys
from argparse import SUPPRESS, ArgumentParser
from typing import Any

from channels.routing import get_default_application
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from core import metrics
from core.environment import stop
from core.server import Server, listen
from core.workers import Line, Workers

MEMORY = "channels.layers.InMemoryChannelLayer"
LOCAL = ("127.0.0.1", "::1", "0.0.0.0", "::")  # noqa: S104 - names that are shown as localhost, nothing is bound here


class Command(BaseCommand):
    help = "Serve Conclave: Daphne with bounded frames and bodies, close codes that arrive and an end in time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (default 8000)")
        parser.add_argument("--workers", type=int, default=1, help="processes; more than one need Redis (default 1)")
        parser.add_argument(
            "--metrics", metavar="HOST:PORT", help="serve figures for Prometheus there, worker n on PORT+n"
        )
        parser.add_argument(
            "--demo", action="store_true", help="fill an empty database with demo data, show its logins"
        )
        parser.add_argument("--listener", type=int, help=SUPPRESS)
        parser.add_argument("--line", type=int, help=SUPPRESS)

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["line"] is not None:
            line = Line(options["line"])
            self._serve(socket.socket(fileno=options["listener"]), options["metrics"], line.ready)
            return
        figures = _figures(options["metrics"])
        listener = self._listener(options)
        logins = self._demo() if options["demo"] else ""
        address = f"http://{_shown(options['host'])}:{listener.getsockname()[1]}"

        def when_ready() -> None:
            self.stdout.write(f"Conclave is ready at {address}\n{logins}")
            self.stdout.flush()

        if options["workers"] == 1:
            self._serve(listener, options["metrics"], when_ready)
            return

        def arguments(index: int, line: int) -> list[str]:
            command = [sys.argv[0], "serve", "--skip-checks", f"--listener={listener.fileno()}", f"--line={line}"]
            return [*command, f"--metrics={figures[0]}:{figures[1] + index}"] if figures else command

        sys.exit(Workers(options["workers"], arguments, listener, when_ready).run())

    def _listener(self, options: dict[str, Any]) -> socket.socket:
        if options["workers"] < 1:
            stop("--workers", f"{options['workers']} is not a number of processes")
        if not 0 <= options["port"] < 65_536:
            stop("--port", f"{options['port']} is not a port")
        if options["workers"] > 1 and settings.CHANNEL_LAYERS["default"]["BACKEND"] == MEMORY:
            stop(
                "--workers",
                "several processes can't hear each other over memory://, set CHANNELS_URL=redis://host:port/db",
            )
        try:
            return listen(options["host"], options["port"])
        except OSError as problem:
            stop("--host --port", f"can't listen on {options['host']} port {options['port']}: {problem}")

    def _demo(self) -> str:
        logins = io.StringIO()
        call_command("demo", if_empty=True, stdout=logins)
        return logins.getvalue()

    def _serve(self, listener: socket.socket, figures: str | None, when_ready: Any) -> None:
        if where := _figures(figures):
            try:
                metrics.listen(*where)
            except OSError as problem:
                stop("--metrics", f"can't listen on {figures}: {problem}")
        Server(get_default_application(), listener, when_ready=when_ready).run()


def _figures(text: str | None) -> tuple[str, int] | None:
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        stop("--metrics", f"{text!r} is not host:port")
    return host.strip("[]"), int(port)


def _shown(host: str) -> str:
    """Browsers allow passkeys on localhost, not on 127.0.0.1."""
    if host in LOCAL:
        return "localhost"
    return f"[{host}]" if ":" in host else host
