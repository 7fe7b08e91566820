"""The JSON patches: on a Rollout's status, its template, its active Service. Each tests what was judged; none is ever sent unbound.

A merge patch aborted 34 of 100 hotfixes, one bound to the hash alone 14, one bound to hash and template none (recorded).
"""

from __future__ import annotations

from typing import Any

from server.core.argo.state import RolloutState, short
from server.core.outcome import Call

JSON_PATCH = "application/json-patch+json"
RUN = "{run}"
"""Stands for the run's id in a wake's text until `write` knows it."""

SELECTOR = "/spec/selector/rollouts-pod-template-hash"
NUDGE = "/metadata/annotations/ripcord~1wake"

Op = dict[str, Any]


def _test(path: str, value: Any) -> Op:
    return {"op": "test", "path": path, "value": value}


def rollout_path(namespace: str, name: str) -> str:
    """A Rollout."""
    return f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts/{name}"


def status_path(namespace: str, name: str) -> str:
    """The status subresource of a Rollout."""
    return f"{rollout_path(namespace, name)}/status"


def abort(state: RolloutState) -> Call:
    """The abort, bound to uid, hash, stable hash and template as read. promoteFull is cleared where it stands true."""
    body = [
        _test("/metadata/uid", state.uid),
        _test("/status/currentPodHash", state.cur),
        _test("/status/stableRS", state.sta),
        _test("/spec/template", state.template),
    ]
    if state.promote_full:
        body.append({"op": "add", "path": "/status/promoteFull", "value": False})
    body.append({"op": "add", "path": "/status/abort", "value": True})
    role = "canary" if state.strategy == "canary" else "new version"
    return _call(state, body, f"abort {state.where}, {role} {short(state.cur, state.sta)}")


def wake(state: RolloutState, run: str, n: int) -> Call:
    """Changes the message, so that a controller that overlooked the abort (or a hotfix) looks again."""
    body = [
        _test("/metadata/uid", state.uid),
        _test("/status/currentPodHash", state.cur),
        _test("/spec/template", state.template),
        _test("/status/abort", True),
        _test("/status/abortedAt", state.aborted_at or None),
        {"op": "add", "path": "/status/message", "value": wake_text(run, n)},
    ]
    return _call(state, body, f"wake the controller of {state.where}, which has not seen what stands there")


def wake_text(run: str, n: int) -> str:
    """What a wake writes; found there, it was applied."""
    return f"{run or RUN} wake {n}"


def is_wake(message: str, run: str, n: int) -> bool:
    """Whether a status message is just that wake's text: then it was applied, and the controller has not looked yet."""
    return message == wake_text(run, n) if run else message.startswith("r-") and message.endswith(f" wake {n}")


def take_off(state: RolloutState) -> Call:
    """Takes our own unseen abort off a newer version; acknowledged meanwhile, the server refuses it."""
    body = [
        _test("/metadata/uid", state.uid),
        _test("/status/currentPodHash", state.cur),
        _test("/status/abort", True),
        _test("/status/abortedAt", None),
        {"op": "remove", "path": "/status/abort"},
    ]
    return _call(state, body, f"take our unseen abort off {short(state.cur)}, which was released meanwhile")


def service_path(namespace: str, name: str) -> str:
    """A Service."""
    return f"/api/v1/namespaces/{namespace}/services/{name}"


def switch(namespace: str, service: str, cur: str, sta: str) -> Call:
    """The active Service to stable by hand. Only beside an abort: alone it would be undone, or promote the bad version."""
    body = [_test(SELECTOR, cur), {"op": "replace", "path": SELECTOR, "value": sta}]
    said = f"switch Service {namespace}/{service} {short(cur, sta)} -> {short(sta, cur)}"
    return Call(method="PATCH", path=service_path(namespace, service), body=body, content_type=JSON_PATCH, said=said)


def restore(state: RolloutState, template: Op, target: str) -> Call:
    """The template of an older version into spec, bound to the template that is replaced."""
    body = [
        _test("/metadata/uid", state.uid),
        _test("/spec/template", state.template),
        {"op": "replace", "path": "/spec/template", "value": template},
    ]
    cur = short(state.cur, target)
    path = rollout_path(state.namespace, state.name)
    said = f"undo {state.where}, {cur} -> {short(target, state.cur)}"
    return Call(method="PATCH", path=path, body=body, content_type=JSON_PATCH, said=said)


def nudge(state: RolloutState, run: str, n: int) -> Call:
    """Changes an annotation, so that a controller that overlooked a template looks again."""
    body = [
        _test("/metadata/uid", state.uid),
        _test("/spec/template", state.template),
        {"op": "add", "path": NUDGE, "value": wake_text(run, n)},
    ]
    path = rollout_path(state.namespace, state.name)
    said = f"wake the controller of {state.where}, which has not seen the template that stands there"
    return Call(method="PATCH", path=path, body=body, content_type=JSON_PATCH, said=said)


def release(state: RolloutState) -> Call:
    """Ends the pause before the promotion of the version that we go back to, and of no other."""
    body = [*_towards(state), {"op": "remove", "path": "/status/pauseConditions"}]
    return _call(state, body, f"release {state.where}: end the pause before {short(state.cur, state.sta)}")


def promote(state: RolloutState) -> Call:
    """Skips every gate before the version that we go back to, and before no other."""
    body = [*_towards(state), {"op": "add", "path": "/status/promoteFull", "value": True}]
    return _call(state, body, f"release {state.where}: skip the gates before {short(state.cur, state.sta)}")


def _towards(state: RolloutState) -> list[Op]:
    return [
        _test("/metadata/uid", state.uid),
        _test("/status/currentPodHash", state.cur),
        _test("/spec/template", state.template),
    ]


_KINDS = {
    "/status/message": "wake",
    NUDGE: "wake",
    SELECTOR: "switch",
    "/spec/template": "undo",
    "/status/pauseConditions": "release",
    "/status/promoteFull": "promote",
}


def kind(call: Call) -> str:
    """What a call is, told by its last operation: act, wake, cleanup, switch, undo, release, promote."""
    last = call.body[-1] if isinstance(call.body, list) and call.body else {}
    if last.get("path") == "/status/abort":
        return "cleanup" if last.get("op") == "remove" else "act"
    return _KINDS.get(last.get("path", ""), "act")


def named(body: Any, run: str) -> Any:
    """The body as it is sent: with the run's id in a wake's text."""
    if not isinstance(body, list):
        return body
    return [{**op, "value": op["value"].replace(RUN, run)} if isinstance(op.get("value"), str) else op for op in body]


def wake_command(state: RolloutState) -> str:
    """The same by hand, bound to the version that stands there now."""
    tests = f'{{"op":"test","path":"/status/currentPodHash","value":"{state.cur}"}}'
    change = '{"op":"add","path":"/status/message","value":"woken by hand"}'
    return f"kubectl -n {state.namespace} patch rollout {state.name} --subresource=status --type=json -p '[{tests},{change}]'"


def _call(state: RolloutState, body: list[Op], said: str) -> Call:
    path = status_path(state.namespace, state.name)
    return Call(method="PATCH", path=path, body=body, content_type=JSON_PATCH, said=said)
