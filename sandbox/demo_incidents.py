"""The demo's incidents: who alerts about what, on which PagerDuty service, and what is Ripcord's there."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.demo_doors import Json


@dataclass(frozen=True)
class Incident:
    """One of the four; `label` begins its lines on the screen."""

    label: str
    target: str
    summary: str
    hurts: str
    routing_key: str
    details: Json

    @property
    def alert(self) -> Json:
        """As Alertmanager sends it to the Events API v2."""
        details = dict(self.details)
        if not self.label.startswith("button"):
            details |= {"deployment_type": _KINDS[self.routing_key[0]]}
        return {
            "routing_key": self.routing_key,
            "event_action": "trigger",
            "dedup_key": f"{self.details['alertname']}/{self.target}",
            "client": "Prometheus",
            "payload": {
                "summary": self.summary,
                "source": "prometheus.monitoring",
                "severity": "critical",
                "component": self.target,
                "group": "progressive-delivery",
                "class": "deployment",
                "custom_details": details,
            },
        }


_KINDS = {"c": "canary", "b": "blue-green", "f": "feature-flag"}

CANARY = Incident(
    label="web-frontend",
    target="web-frontend",
    summary="CanaryHighErrorRate: web-frontend answers 8.3 % of requests with 5xx",
    hurts="CanaryHighErrorRate on production/web-frontend, error rate 8.3 % (limit 5 %)",
    routing_key="c" * 32,
    details={
        "alertname": "CanaryHighErrorRate",
        "rollout": "web-frontend",
        "namespace": "production",
        "error_rate": "8.3 %",
        "limit": "5 %",
    },
)
BLUE_GREEN = Incident(
    label="api-backend",
    target="api-backend",
    summary="BlueGreenPostDeployError: api-backend answers 2.4 % of requests with 5xx since the switch",
    hurts="BlueGreenPostDeployError on production/api-backend, error rate 2.4 % (limit 1 %)",
    routing_key="b" * 32,
    details={
        "alertname": "BlueGreenPostDeployError",
        "rollout": "api-backend",
        "namespace": "production",
        "error_rate": "2.4 %",
        "limit": "1 %",
    },
)
FLAG = Incident(
    label="new-checkout",
    target="new-checkout",
    summary="FlagHighErrorRate: checkout errors rise with new-checkout on",
    hurts="FlagHighErrorRate on flag new-checkout, error rate 6.1 % (limit 2 %)",
    routing_key="f" * 32,
    details={"alertname": "FlagHighErrorRate", "flag": "new-checkout", "error_rate": "6.1 %", "limit": "2 %"},
)
BUTTON = Incident(
    label="button",
    target="new-checkout",
    summary="CheckoutConversionDrop: fewer carts become orders",
    hurts="CheckoutConversionDrop, conversion 1.9 % (usually 3.2 %); no runbook starts on such an alert",
    routing_key="f" * 32,
    details={"alertname": "CheckoutConversionDrop", "flag": "new-checkout", "conversion": "1.9 %", "usual": "3.2 %"},
)
"""Its alert carries no deployment type: a person decides what it is about, and presses `disable-flag`."""
