"""What is counted for /metrics. A registry of its own, so that two apps in one process do not meet."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)


class Meter:
    """The web's numbers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = Counter(
            "ripcord_webhook_answers", "Webhook answers by status code", ["status"], registry=self.registry
        )
        self._seconds = Histogram(
            "ripcord_webhook_seconds", "From the request to its answer", registry=self.registry, buckets=BUCKETS
        )
        self._deliveries = Counter("ripcord_deliveries", "Committed messages", ["duplicate"], registry=self.registry)
        self._gauges: dict[str, Gauge] = {}

    def answered(self, status: int, seconds: float) -> None:
        """One webhook answer."""
        self._answers.labels(str(status)).inc()
        self._seconds.observe(seconds)

    def recorded(self, *, duplicate: bool) -> None:
        """One message that was committed, or that repeats one."""
        self._deliveries.labels("true" if duplicate else "false").inc()

    def set(self, name: str, said: str, value: float) -> None:
        """A number that goes up and down."""
        if name not in self._gauges:
            self._gauges[name] = Gauge(name, said, registry=self.registry)
        self._gauges[name].set(value)

    def text(self) -> bytes:
        """The numbers in Prometheus' text form."""
        return generate_latest(self.registry)
