"""The world of the bench, made through the vendors' own APIs on a sandbox: incidents to name, rollouts to abort, files to obey."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench.processes import ROOT, free_port, started, wait_ready

ROLLOUT = "/kubernetes/apis/argoproj.io/v1alpha1/namespaces/production/rollouts"
ROUTER = "/kubernetes/apis/networking.istio.io/v1/namespaces/production/virtualservices"
SERVICES = "/kubernetes/api/v1/namespaces/production/services"
OBSERVED, ACTED = ("c" * 32, "PCANARY"), ("b" * 32, "PBLUEGREEN")


@dataclass
class Scene:
    """A sandbox, spoken to over HTTP."""

    base: str
    settings: dict[str, str]

    def ask(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """One request."""
        token = f"Token token={self.settings['RIPCORD_PAGERDUTY_API_KEY']}" if "/pagerduty" in path else "Bearer bench"
        headers = {
            "Authorization": token,
            "Content-Type": content_type,
            "From": self.settings["RIPCORD_PAGERDUTY_FROM"],
        }
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self.base + path, data, headers, method=method)
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def log(self, after: int = 0) -> list[dict[str, Any]]:
        """The requests that the sandbox has seen."""
        with urllib.request.urlopen(f"{self.base}/_sandbox/log?after={after}", timeout=30) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]

    def incident(self, name: str, rollout: str, service: tuple[str, str] = OBSERVED) -> None:
        """An incident with one alert about this rollout."""
        details = {"deployment_type": "canary", "rollout": rollout, "namespace": "production"}
        payload = {"summary": name, "source": "bench", "severity": "critical", "custom_details": details}
        event = {"routing_key": service[0], "event_action": "trigger", "dedup_key": name, "payload": payload}
        self.ask("POST", "/pagerduty/v2/enqueue", event)

    def incidents(self) -> dict[str, str]:
        """Title to id."""
        found: dict[str, str] = {}
        while True:
            page = self.ask("GET", f"/pagerduty/incidents?limit=100&offset={len(found)}&date_range=all")
            found.update({one["title"]: one["id"] for one in page["incidents"]})
            if not page.get("more"):
                return found

    def canary(self, name: str) -> None:
        """A rollout like the scene's, with one pod, released anew: its canary waits at the first step."""
        first = self.ask("GET", f"{ROLLOUT}/web-frontend")
        for path, one in [
            *((SERVICES, self.ask("GET", f"{SERVICES}/web-frontend-{half}")) for half in ("canary", "stable")),
            (ROUTER, self.ask("GET", f"{ROUTER}/web-frontend-vsvc")),
        ]:
            self.ask("POST", path, _copy(one, name))
        rollout = _copy(first, name)
        rollout["spec"]["replicas"] = 1
        rollout["spec"]["strategy"]["canary"].pop("analysis", None)
        self.ask("POST", ROLLOUT, rollout)

    def release(self, name: str) -> None:
        """A new version."""
        patch = [
            {
                "op": "replace",
                "path": "/spec/template/spec/containers/0/image",
                "value": "registry.company.com/bench:v2",
            }
        ]
        self.ask("PATCH", f"{ROLLOUT}/{name}", patch, "application/json-patch+json")

    def until(self, names: list[str], holds: str, within: float = 120.0) -> None:
        """Waits until every rollout is `stable` (its first version), or a `canary` that takes traffic."""
        ends = time.monotonic() + within
        while not all(_is(self.ask("GET", f"{ROLLOUT}/{name}").get("status", {}), holds) for name in names):
            if time.monotonic() > ends:
                raise SystemExit(f"bench: the rollouts did not become {holds} within {within:g} s")
            time.sleep(0.5)


@contextmanager
def sandbox(folder: Path, door: str = "") -> Iterator[Scene]:
    """The vendors. door: where their webhooks go; without one they are silent, and the bench sends them itself."""
    port, out = free_port(), folder / "sandbox.log"
    argv = ["-m", "sandbox", "--port", str(port), *(["--webhook", door] if door else [])]
    with started(argv, {}, out) as process:
        wait_ready(f"http://127.0.0.1:{port}/_sandbox/state", process, out)
        ends = time.monotonic() + 10
        while "LAUNCHDARKLY_TOKEN" not in out.read_text() and time.monotonic() < ends:
            time.sleep(0.05)
        lines = [line for line in out.read_text().splitlines() if line.startswith("export ")]
        settings = {line[7:].split("=", 1)[0]: line.split("=", 1)[1].strip("'") for line in lines}
        scene = Scene(f"http://127.0.0.1:{port}", settings)
        if not door:
            scene.ask("POST", "/_sandbox/pagerduty", {"webhook": {"pause": True}})
        yield scene


def _is(status: dict[str, Any], holds: str) -> bool:
    if holds == "stable":
        return bool(status.get("stableRS")) and status.get("phase") == "Healthy"
    weight = ((status.get("canary") or {}).get("weights") or {}).get("canary", {}).get("weight", 0)
    return status.get("phase") == "Paused" and weight > 0


def _copy(one: dict[str, Any], name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(one).replace("web-frontend", name))
    made["metadata"] = {
        key: made["metadata"][key] for key in ("name", "namespace", "labels") if key in made["metadata"]
    }
    made.pop("status", None)
    if made["spec"].get("selector") and "rollouts-pod-template-hash" in made["spec"]["selector"]:
        del made["spec"]["selector"]["rollouts-pod-template-hash"]
    return made


def files(folder: Path, rollouts: list[str]) -> Path:
    """The shipped abort-canary, and a catalog: the scene's rollout only observed, the bench's own acted on."""
    folder.mkdir()
    (folder / "abort-canary.yaml").write_text((ROOT / "runbooks" / "abort-canary.yaml").read_text())
    lines = ["version: 1", "targets:"]
    for name in ["web-frontend", *rollouts]:
        service, mode = (OBSERVED[1], "observe") if name == "web-frontend" else (ACTED[1], "auto")
        lines.append(
            f"  {name}: {{kind: rollout, strategy: canary, team: web, cluster: default, namespace: production, "
            f"name: {name}, pagerduty_services: [{service}], named_by: {{rollout: {name}}}, mode: {mode}}}"
        )
    (folder / "targets.yaml").write_text("\n".join(lines) + "\n")
    return folder


def webhook(secret: str, event_type: str, incident: str) -> bytes:
    """A signed request of about 1.2 KB, as bytes on the wire."""
    data = {
        "id": incident,
        "type": "incident",
        "title": "é " + "x" * 600,
        "status": "triggered",
        "service": {"id": OBSERVED[1]},
    }
    moment = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    event = {"id": uuid4().hex, "event_type": event_type, "occurred_at": moment, "agent": None, "data": data}
    raw = json.dumps({"event": event}, ensure_ascii=False).encode()
    fits = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    head = (
        "POST /webhooks/pagerduty HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"User-Agent: PagerDuty-Webhook/V3.0\r\nX-Webhook-Id: {uuid4().hex}\r\nX-Webhook-Subscription: PBENCH\r\n"
        f"X-PagerDuty-Signature: v1={fits}\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw
