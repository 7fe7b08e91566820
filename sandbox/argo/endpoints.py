"""EndpointSlices: for each Service with a selector, the pods that it reaches and whether each takes requests."""

from __future__ import annotations

from sandbox.argo.names import Object, labels, meta, name_of, namespace_of, status_of
from sandbox.argo.pods import Objects, is_ready

SERVICE = "kubernetes.io/service-name"
MANAGED = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"


def tick(store: Objects) -> None:
    """One slice for each Service: more than a hundred pods behind one are not played."""
    slices = {
        (namespace_of(one), labels(one).get(SERVICE, "")): one
        for one in store.list("endpointslices")
        if labels(one).get(MANAGED) == MANAGER
    }
    pods: dict[str, list[Object]] = {}
    for pod in store.list("pods"):
        pods.setdefault(namespace_of(pod), []).append(pod)
    for service in store.list("services"):
        selector = (service.get("spec") or {}).get("selector")
        if selector:
            found = [pod for pod in pods.get(namespace_of(service), []) if selector.items() <= labels(pod).items()]
            _write(store, service, slices.get((namespace_of(service), name_of(service))), found)


def _write(store: Objects, service: Object, old: Object | None, pods: list[Object]) -> None:
    endpoints = [_endpoint(pod) for pod in pods if status_of(pod).get("podIP")]
    body = {"endpoints": endpoints or None, "ports": _ports(service, pods) if endpoints else None}
    if old is None:
        owner = {"apiVersion": "v1", "kind": "Service", "name": name_of(service), "uid": meta(service)["uid"]}
        metadata = {
            "generateName": f"{name_of(service)}-",
            "namespace": namespace_of(service),
            "labels": labels(service) | {SERVICE: name_of(service), MANAGED: MANAGER},
            "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
        }
        store.create("endpointslices", {"metadata": metadata, "addressType": "IPv4", **body}, manager=MANAGER)
    elif any(old.get(key) != value for key, value in body.items()):
        store.update("endpointslices", namespace_of(old), name_of(old), lambda obj: obj.update(body), manager=MANAGER)


def _endpoint(pod: Object) -> Object:
    serving, ending = is_ready(pod), "deletionTimestamp" in meta(pod)
    target = {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod), "uid": meta(pod)["uid"]}
    return {
        "addresses": [status_of(pod)["podIP"]],
        "conditions": {"ready": serving and not ending, "serving": serving, "terminating": ending},
        "nodeName": (pod.get("spec") or {}).get("nodeName"),
        "targetRef": target,
    }


def _ports(service: Object, pods: list[Object]) -> list[Object]:
    """A port by name is what the pod's container calls so."""
    named: Object = {
        port["name"]: port["containerPort"]
        for pod in pods[:1]
        for container in (pod.get("spec") or {}).get("containers") or []
        for port in container.get("ports") or []
        if "name" in port
    }
    found = []
    for port in (service.get("spec") or {}).get("ports") or []:
        target = port.get("targetPort", port.get("port"))
        number = target if isinstance(target, int) else named.get(target)
        if number is not None:
            found.append({"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")})
    return found
