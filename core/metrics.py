"""The figures that Prometheus reads, and the two doors to them: a listener of their own, or a token."""

import hmac
from collections.abc import Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    Metric,
    generate_latest,
    start_http_server,
)
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

SOCKETS = Gauge("conclave_sockets", "Sockets that are open now")
TASKS = Gauge("conclave_tasks", "Tasks on the event loop")
FRAMES = Counter("conclave_frames_total", "Frames that clients sent", ["type"])
CLOSES = Counter("conclave_closes_total", "Sockets that the server closed", ["code"])
REFUSALS = Counter("conclave_refusals_total", "Errors that clients were answered", ["transport", "code"])
LAYER_LOST = Gauge("conclave_layer_lost", "Hosts of the channel layer that bring nothing back: 0 while all is well")
REQUESTS = Counter("conclave_http_requests_total", "HTTP requests answered", ["method", "status"])
REQUEST_SECONDS = Histogram("conclave_http_request_seconds", "Time from an HTTP request to its answer's end")


class Sent(Collector):
    """Counted for each frame and socket, on the event loop alone: a `Counter` would take a lock each time."""

    count = 0

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily("conclave_frames_sent", "Frames written to sockets, answers and events", self.count)


SENT = Sent()
REGISTRY.register(SENT)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def count_request(method: str, status: int, seconds: float) -> None:
    """Note one answered HTTP request. A method that the client made up does not become a label."""
    REQUESTS.labels(method if method in METHODS else "other", str(status)).inc()
    REQUEST_SECONDS.observe(seconds)


def count_close(code: str) -> None:
    """Note a connection that this side ends, by the code that says why."""
    CLOSES.labels(code).inc()


def listen(host: str, port: int) -> None:
    """Serve the figures on their own address, in a thread of their own. Raises OSError where it is taken."""
    start_http_server(port, addr=host)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures of the process that answers, for whoever brings METRICS_TOKEN; without the setting no such page."""
    if not settings.METRICS_TOKEN:
        return HttpResponseNotFound()
    shown = request.headers.get("Authorization", "")
    if not hmac.compare_digest(shown.encode(), f"Bearer {settings.METRICS_TOKEN}".encode()):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})
