"""A whole town for a story: the vendors' world and the server, each a real process, talked to over real sockets only.

What a story claims is judged from the vendors' own log and notes, and from the database's audit; never from the server's words.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import sqlite3
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import urllib3

from server import db
from server.audit.tables import audit
from server.store.tables import runs
from tests.support.processes import ROOT, Process, clean_environment, free_port
from tests.support.waiting import eventually

Json = dict[str, Any]
ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces"
FINAL = {"proven", "nothing_to_do", "refused", "failed", "unproven", "observed"}
CANARY_KEY = "c" * 32


class Town:
    """Both processes. `start` the server when the scene is as the story wants it."""

    def __init__(self, folder: Path, database_url: str, speed: float | None = None) -> None:
        self.folder, self.database_url = folder, database_url
        self.http = urllib3.PoolManager(maxsize=40, retries=False)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.runbooks = folder / "runbooks"
        shutil.copytree(ROOT / "runbooks", self.runbooks)
        self.sandbox = Process.python("-m", "sandbox", "--webhook", f"{self.url}/webhooks/pagerduty")
        self.sandbox.line("RIPCORD_LAUNCHDARKLY_TOKEN")
        self.exports = {
            name.removeprefix("export "): value.strip("'")
            for name, _, value in (
                line.partition("=") for line in list(self.sandbox.lines) if line.startswith("export ")
            )
        }
        self.world = self.exports["RIPCORD_PAGERDUTY_URL"].removesuffix("/pagerduty")
        self.server: Process | None = None
        if speed is not None:
            self.control("clock", {"speed": speed})

    # Processes --------------------------------------------------------------------------------------------------------

    def start(self, ready: bool = True, **more: str) -> None:
        """Starts the server; `ready` waits until it says so."""
        env = clean_environment(
            **self.exports,
            RIPCORD_LISTEN=f"127.0.0.1:{self.port}",
            RIPCORD_DATABASE_URL=self.database_url,
            RIPCORD_RUNBOOKS=str(self.runbooks),
            PYTHONPATH=str(ROOT),
            **more,
        )
        self.server = Process.python("-m", "server", "serve", env=env, cwd=self.folder)
        if ready:
            eventually(lambda: self._get(f"{self.url}/readyz").status == 200, within=30, what="the server is ready")

    def kill(self) -> None:
        """kill -9 of the server and all its processes."""
        assert self.server is not None
        self.server.__exit__(None, None, None)

    def close(self) -> None:
        """Ends what was started."""
        for process in (self.server, self.sandbox):
            if process is not None:
                process.__exit__(None, None, None)

    # The vendors' world -----------------------------------------------------------------------------------------------

    def _get(self, url: str, **headers: str) -> urllib3.BaseHTTPResponse:
        try:
            return self.http.request("GET", url, headers=headers, timeout=10)
        except urllib3.exceptions.HTTPError as error:
            raise AssertionError(f"no answer: {error}") from error

    def control(self, what: str, body: object, method: str = "POST") -> None:
        """A call to the control plane of the vendors' world."""
        answer = self.http.request(method, f"{self.world}/_sandbox/{what}", json=body, timeout=10)
        assert answer.status < 300, answer.data

    def log(self) -> list[Json]:
        """Every request that the vendors have seen, oldest first."""
        return [json.loads(line) for line in self._get(f"{self.world}/_sandbox/log").data.splitlines() if line]

    def effects(self, method: str, path: str) -> list[Json]:
        """Requests to paths that hold `path` which changed something."""
        return [row for row in self.log() if row["method"] == method and path in row["path"] and row["applied"]]

    def asked(self, method: str, path: str) -> list[Json]:
        """Requests to paths that hold `path`, applied or not."""
        return [row for row in self.log() if row["method"] == method and path in row["path"]]

    def kubernetes(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> Json:
        """A request of somebody else's to the cluster."""
        answer = self.http.request(
            method,
            f"{self.world}/kubernetes{path}",
            body=None if body is None else json.dumps(body),
            headers={"Authorization": "Bearer somebody", "Content-Type": content_type},
            timeout=10,
        )
        assert answer.status < 300, (answer.status, answer.data)
        return dict(answer.json())

    def rollout(self, name: str = "web-frontend", namespace: str = "production") -> Json:
        """The Rollout as it stands."""
        return self.kubernetes("GET", f"{ROLLOUTS}/{namespace}/rollouts/{name}")

    def pagerduty(self, method: str, path: str, body: object = None) -> Json:
        """A request of a person's to PagerDuty."""
        answer = self.http.request(
            method,
            f"{self.world}/pagerduty{path}",
            json=body,
            headers={
                "Authorization": f"Token token={self.exports['RIPCORD_PAGERDUTY_API_KEY']}",
                "From": self.exports["RIPCORD_PAGERDUTY_FROM"],
            },
            timeout=10,
        )
        assert answer.status < 300, (answer.status, answer.data)
        return dict(answer.json())

    def alert(
        self, dedup: str = "one", key: str = CANARY_KEY, summary: str = "web-frontend canary fails", **details: object
    ) -> None:
        """An Events API v2 alert, as Alertmanager would send it."""
        given = {
            "alertname": "CanaryHighErrorRate",
            "deployment_type": "canary",
            "rollout": "web-frontend",
            "namespace": "production",
            "error_rate": "8.3 %",
            "limit": "5 %",
            **details,
        }
        body = {
            "routing_key": key,
            "event_action": "trigger",
            "dedup_key": dedup,
            "payload": {"summary": summary, "source": "prometheus", "severity": "critical", "custom_details": given},
        }
        answer = self.http.request("POST", f"{self.world}/pagerduty/v2/enqueue", json=body, timeout=10)
        assert answer.status == 202, answer.data

    def incident(self, n: int = 0) -> Json:
        """The n-th incident, oldest first."""
        found = sorted(self.pagerduty("GET", "/incidents")["incidents"], key=lambda one: one["incident_number"])
        return dict(found[n])

    def notes(self, n: int = 0) -> list[str]:
        """The notes of the n-th incident."""
        return [
            note["content"] for note in self.pagerduty("GET", f"/incidents/{self.incident(n)['id']}/notes")["notes"]
        ]

    def note(self, n: int = 0, within: float = 30) -> str:
        """The one note of the n-th incident once it has its last word."""

        def last() -> str | None:
            notes = self.notes(n)
            return notes[0] if len(notes) == 1 and "Proof follows" not in notes[0] else None

        return eventually(last, within=within, every=0.1, what="one note with its last word") or ""

    # The door ---------------------------------------------------------------------------------------------------------

    def webhook(
        self, event: Json | bytes, webhook_id: str | None = None, secret: str | None = None
    ) -> urllib3.BaseHTTPResponse:
        """A signed v3 webhook of our own making."""
        raw = event if isinstance(event, bytes) else json.dumps({"event": event}, ensure_ascii=False).encode()
        key = secret or self.exports["RIPCORD_PAGERDUTY_WEBHOOK_SECRETS"]
        headers = {
            "X-PagerDuty-Signature": "v1=" + hmac.new(key.encode(), raw, hashlib.sha256).hexdigest(),
            "X-Webhook-Id": webhook_id or str(uuid.uuid4()),
            "Content-Type": "application/json",
        }
        return self.http.request("POST", f"{self.url}/webhooks/pagerduty", body=raw, headers=headers, timeout=20)

    @staticmethod
    def event(
        incident: str, event_type: str = "incident.triggered", title: str = "hurts", at: datetime | None = None
    ) -> Json:
        """A v3 event about an incident."""
        return {
            "id": str(uuid.uuid4()),
            "event_type": event_type,
            "resource_type": "incident",
            "occurred_at": (at or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "agent": None,
            "client": None,
            "data": {"id": incident, "type": "incident", "title": title, "status": "triggered"},
        }

    # What the database says -------------------------------------------------------------------------------------------

    def rows(self, query: sa.Select[Any]) -> list[Json]:
        """What a query finds; an AssertionError while the database cannot be read."""
        engine = db.reading(self.database_url)
        try:
            with engine.connect() as connection:
                return [dict(row) for row in connection.execute(query).mappings()]
        except (sa.exc.OperationalError, sa.exc.ProgrammingError, sqlite3.Error) as error:
            raise AssertionError(str(error)) from error
        finally:
            engine.dispose()

    def runs(self) -> list[Json]:
        """All runs, oldest first."""
        return self.rows(sa.select(runs).order_by(runs.c.created_at))

    def audit(self, run: str | None = None) -> list[Json]:
        """The audit rows (of one run)."""
        query = sa.select(audit).order_by(audit.c.seq)
        return self.rows(query if run is None else query.where(audit.c.run == run))

    def ended(self, within: float = 60, count: int = 1) -> Json:
        """The newest run, once `count` runs are there and all are final."""

        def over() -> list[Json]:
            found = self.runs()
            return found if len(found) >= count and all(run["state"] in FINAL for run in found) else []

        try:
            return eventually(over, within=within, every=0.1, what=f"{count} runs in a final state")[-1]
        except AssertionError as error:
            said = [f"{row['key']}: {row['said']}" for row in self.audit()]
            server = self.server.output[-4000:] if self.server else ""
            raise AssertionError("\n".join([str(error), *said, server])) from error


def assert_every_effect_has_its_rows(town: Town) -> None:
    """Both ways: each applied write of Ripcord's has intent and outcome; each intent has an outcome."""
    rows = town.audit()
    intents = [row for row in rows if row["tag"] in ("step_intended", "step_woken")]
    outcomes = {
        "/".join(row["key"].split("/")[:3])
        for row in rows
        if row["tag"] in ("step_done", "step_refused", "step_unknown")
    }
    for row in intents:
        assert "/".join(row["key"].split("/")[:3]) in outcomes, row
    bodies = [json.dumps(json.loads(row["evidence"])["call"]["body"], sort_keys=True) for row in intents]
    ours = [row for row in town.effects("PATCH", "/kubernetes/") if "fieldManager=ripcord" in row["query"]]
    for effect in ours:
        assert json.dumps(json.loads(effect["body"]), sort_keys=True) in bodies, effect

    def told() -> bool:
        rows = [row for row in town.audit() if row["tag"] == "told"]
        return len(rows) == len([*town.effects("POST", "/notes"), *town.effects("PUT", "/notes")])

    eventually(told, within=10, what="each applied note and edit has its row")
