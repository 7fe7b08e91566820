"""Small builders for deciding: a runbook, targets, an incident with alerts, a delivery; each with one thing changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from server.core.catalog import Catalog, CatalogFile
from server.core.delivery import Delivery, StoredDelivery
from server.core.durations import FROM_FILE
from server.core.incident import Alert, Incident
from server.core.library import Library
from server.core.match import Decision, Gone, Holds, Unread, decide
from server.core.runbook import Runbook, RunbookFile

NOW = datetime(2026, 11, 24, 3, 12, 34, tzinfo=UTC)
NOTHING = Holds()

Json = dict[str, Any]


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def runbook(name: str = "abort-canary", **changed: Any) -> Runbook:
    form = {
        "version": 1,
        "owner": "platform",
        "teams": "all",
        "mode": "auto",
        "when": {
            "events": ["incident.triggered", "incident.reopened"],
            "any": [{"alert": {"deployment_type": "canary"}}],
        },
        "target": {"kind": "rollout", "strategy": "canary"},
        "max_age": "15m",
        "steps": [{"action": "abort_rollout"}],
        "verify": [{"check": "rollout_traffic_on_stable"}],
        **changed,
    }
    read = RunbookFile.model_validate(form, context=FROM_FILE)
    fields = {field: getattr(read, field) for field in RunbookFile.model_fields}
    return Runbook.model_validate({**fields, "name": name, "hash": "0" * 64, "source": ""})


def rollout(name: str = "web-frontend", **changed: Any) -> Json:
    return {
        "kind": "rollout",
        "strategy": "canary",
        "team": "web",
        "namespace": "production",
        "name": name,
        "pagerduty_services": ["PCANARY"],
        "named_by": {"rollout": name, "namespace": "production"},
        "mode": "auto",
        **changed,
    }


def flag(**changed: Any) -> Json:
    return {
        "kind": "flag",
        "team": "web",
        "project": "default",
        "environment": "production",
        "flag": "new-checkout",
        "pagerduty_services": ["PFLAG"],
        "named_by": {"flag": "new-checkout"},
        "mode": "auto",
        **changed,
    }


def catalog(**targets: Json) -> Catalog:
    """Without arguments: web-frontend alone. Names are written with _ for -."""
    declared = {name.replace("_", "-"): target for name, target in targets.items()} or {"web-frontend": rollout()}
    return CatalogFile.model_validate({"version": 1, "targets": declared}, context=FROM_FILE).catalog()


def library(*runbooks: Runbook, **targets: Json) -> Library:
    return Library(runbooks=runbooks or (runbook(),), catalog=catalog(**targets))


def alert(details: Json | None = None, *, age: float = 60, status: str = "triggered", n: int = 1) -> Alert:
    canary = {"rollout": "web-frontend", "namespace": "production", "deployment_type": "canary"}
    return Alert(id=f"A{n}", status=status, created_at=ago(age), details=canary if details is None else details)


def no_data(n: int = 1) -> Alert:
    return Alert(id=f"A{n}", status="triggered", created_at=ago(60), details=None)


def incident(*alerts: Alert, **changed: Any) -> Incident:
    fields: Json = {
        "id": "QINC1",
        "number": 42,
        "title": "checkout hurts",
        "status": "triggered",
        "created_at": ago(61),
        "service": "PCANARY",
        "alerts": alerts or (alert(),),
        "read_at": NOW,
        **changed,
    }
    return Incident(**fields)


def delivery(event_type: str = "incident.triggered", **changed: Any) -> StoredDelivery:
    fields: Json = {
        "trigger": "pagerduty_v3",
        "auth": "v3_hmac",
        "webhook_id": "W1",
        "event_key": "01E",
        "event_type": event_type,
        "occurred_at": ago(30),
        "incident": "QINC1",
        "body_sha256": "0" * 64,
        **changed,
    }
    return StoredDelivery(id="d1", received_at=NOW, delivery=Delivery(**fields))


def decisions(
    library: Library,
    about: Incident | Gone | Unread | None = None,
    came: StoredDelivery | None = None,
    holds: Holds = NOTHING,
) -> tuple[Decision, ...]:
    """`about` absent: the incident with its one clear alert."""
    about = incident() if about is None else about
    alerts = about.alerts if isinstance(about, Incident) else ()
    return decide(came or delivery(), about, alerts, library, holds, NOW)


def decision(
    library: Library,
    about: Incident | Gone | Unread | None = None,
    came: StoredDelivery | None = None,
    holds: Holds = NOTHING,
) -> tuple[str, str]:
    """Kind and reason of the only runbook."""
    (one,) = decisions(library, about, came, holds)
    return one.kind, one.reason
