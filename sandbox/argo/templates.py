"""Pod templates: what an API server fills in, when two are the same, and their hash."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import lru_cache
from typing import Any

from sandbox.argo.names import HASH, Object

_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_POD = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
}
_MODES = ("secret", "configMap", "downwardAPI", "projected")


def with_defaults(template: Object) -> Object:
    """The template as it stands in a ReplicaSet that a real API server has stored."""
    filled = deepcopy(template)
    spec = filled.setdefault("spec", {})
    for key, value in _POD.items():
        spec.setdefault(key, value)
    spec.setdefault("securityContext", {})
    if "serviceAccountName" in spec:
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    for container in [*spec.get("containers", []), *spec.get("initContainers", [])]:
        _fill_container(container)
    for volume in spec.get("volumes", []):
        _fill_volume(volume)
    return filled


def normalise(template: Object) -> Object:
    """What the controller makes of a template when it writes the Rollout back: its types know no absent `resources`."""
    written = deepcopy(template)
    spec = written.get("spec") or {}
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        container.setdefault("resources", {})
    return written


def same(one: Object, other: Object) -> bool:
    """Equal but for the hash label, defaults and what an API server drops."""
    return _fingerprint(json.dumps(one)) == _fingerprint(json.dumps(other))


def hash_template(template: Object, salt: str) -> str:
    return short_hash(_fingerprint(json.dumps(template)) + salt)


def hash_steps(steps: list[Object]) -> str:
    return short_hash(json.dumps(steps, sort_keys=True))


def short_hash(text: str) -> str:
    """FNV-1a in the alphabet of the real hashes (no vowels, so that no words appear)."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_SAFE[ord(digit) % len(_SAFE)] for digit in str(value))


@lru_cache(maxsize=1024)  # asked several times in each pass, for templates that hardly ever change
def _fingerprint(template: str) -> str:
    return json.dumps(_bare(json.loads(template)), sort_keys=True)


def _bare(template: Object) -> Any:
    filled = with_defaults(template)
    labels = (filled.get("metadata") or {}).get("labels") or {}
    labels.pop(HASH, None)
    return _without_empties(filled)


def _without_empties(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_empties(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner not in (None, {}, [], "")}
    if isinstance(value, list):
        return [_without_empties(inner) for inner in value]
    return value


def _fill_container(container: Object) -> None:
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("resources", {})
    image = str(container.get("image", ""))
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    container.setdefault("imagePullPolicy", "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent")
    for port in container.get("ports", []):
        port.setdefault("protocol", "TCP")
    for variable in container.get("env", []):
        field_ref = (variable.get("valueFrom") or {}).get("fieldRef")
        if isinstance(field_ref, dict):
            field_ref.setdefault("apiVersion", "v1")
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        if isinstance(container.get(probe), dict):
            _fill_probe(container[probe])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook.get("httpGet"), dict):
            _fill_http(hook["httpGet"])


def _fill_probe(probe: Object) -> None:
    for key, value in _PROBE.items():
        probe.setdefault(key, value)
    if isinstance(probe.get("httpGet"), dict):
        _fill_http(probe["httpGet"])


def _fill_http(http: Object) -> None:
    http.setdefault("path", "/")
    http.setdefault("scheme", "HTTP")


def _fill_volume(volume: Object) -> None:
    for kind in _MODES:
        if isinstance(volume.get(kind), dict):
            volume[kind].setdefault("defaultMode", 420)
    for source in (volume.get("projected") or {}).get("sources", []):
        if isinstance(source.get("serviceAccountToken"), dict):
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
    claim = ((volume.get("ephemeral") or {}).get("volumeClaimTemplate") or {}).get("spec")
    if isinstance(claim, dict):
        claim.setdefault("volumeMode", "Filesystem")
    if not any(key != "name" for key in volume):
        volume["emptyDir"] = {}
