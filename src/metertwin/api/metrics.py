"""Figures of the API itself, as Prometheus reads them."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds; the goal for usage_now is 15 ms at p99, so the buckets are fine around it.
_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)


class ApiMetrics:
    """Counters of one API process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "metertwin_http_requests",
            "HTTP requests answered.",
            ["route", "status"],
            registry=self.registry,
        )
        self._duration_s = Histogram(
            "metertwin_http_request_duration_seconds",
            "Time from a request's arrival to its last byte; streams last as long as they last.",
            ["route"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.stream_clients = Gauge(
            "metertwin_stream_clients", "Clients of the event stream.", registry=self.registry
        )
        self.stream_missed = Counter(
            "metertwin_stream_missed",
            "Events not sent because a client read too slowly.",
            registry=self.registry,
        )

    def count(self, route: str, status: int, duration_s: float) -> None:
        """Count one answered request by its route's template, never by its path."""
        self._requests.labels(route, str(status)).inc()
        self._duration_s.labels(route).observe(duration_s)

    def render(self) -> bytes:
        """Return all figures as Prometheus text."""
        return generate_latest(self.registry)
