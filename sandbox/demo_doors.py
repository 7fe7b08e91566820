"""The outer doors of the demo's sandbox, as people and tools come to them; nothing here looks inside."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
ARGO = "/apis/argoproj.io/v1alpha1/namespaces"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
SEMANTIC = "application/json; domain-model=launchdarkly.semanticpatch"


@dataclass(frozen=True)
class Doors:
    """One base URL; a refusal is an urllib error."""

    base_url: str
    flag_token: str = ""

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.base_url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        raw = None if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        asked = urllib.request.Request(self.base_url + path, raw, named, method=method)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return json.loads(answer.read())

    # What life does not offer, and what has happened -------------------------------------------------------------------

    def control(self, what: str, body: object) -> Any:
        return self.ask("POST", f"/_sandbox/{what}", body)

    def state(self) -> Json:
        return dict(json.loads(self.get("/_sandbox/state")))

    def log(self, after: int) -> list[Json]:
        return [json.loads(line) for line in self.get(f"/_sandbox/log?after={after}").splitlines()]

    # People and their tools --------------------------------------------------------------------------------------------

    def alert(self, body: Json) -> None:
        self.ask("POST", "/pagerduty/v2/enqueue", body)

    def kubernetes(self, method: str, path: str, body: object = None, kind: str = MERGE) -> Json:
        asked = self.ask(method, f"/kubernetes{path}", body, Authorization="Bearer somebody", Content_Type=kind)
        return dict(asked)

    def launchdarkly(self, path: str, body: object, kind: str = SEMANTIC) -> Json:
        headers = {"Authorization": self.flag_token, "Content_Type": kind}
        return dict(self.ask("PATCH", f"/launchdarkly/api/v2{path}", body, **headers))
