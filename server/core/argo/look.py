"""One look: every object that the decision and the proof need, in one order. Reads only, through a door handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from server.core.argo.dig import part, text
from server.core.argo.read import HASH_LABEL, Raw, read, service, wanted, with_rollout
from server.core.argo.state import Place, RolloutState
from server.errors import Missing, Refused, Transient

Json = dict[str, Any]
LEASE = "argo-rollouts-controller-lock"
SERVICE_LABEL = "kubernetes.io/service-name"
_ISTIO = ("v1", "v1beta1", "v1alpha3")


class Door(Protocol):
    """The two reads of a Kubernetes client."""

    def get(self, cluster: str, path: str) -> tuple[Json, datetime]:
        """One object and the answer's Date."""
        ...

    def list(self, cluster: str, path: str, query: Mapping[str, str]) -> tuple[Json, datetime]:
        """One list and the answer's Date."""
        ...


def rollout_path(place: Place) -> str:
    """The Rollout itself."""
    return f"/apis/argoproj.io/v1alpha1/namespaces/{place.namespace}/rollouts/{place.rollout}"


def look(place: Place, door: Door, now: Callable[[], datetime], *, analysis: bool = True) -> RolloutState:
    """Raises Transient where it cannot be read now; what is missing or forbidden is a value in the state.

    analysis: with all that only an action asks for, beside what a proof needs.
    """
    try:
        rollout, date = door.get(place.cluster, rollout_path(place))
    except Missing:
        at = now()
        return read(Raw(at=at, date=at, cluster=place.cluster, namespace=place.namespace, name=place.rollout))
    except Refused as error:
        at = now()
        return read(
            Raw(
                at=at, date=at, cluster=place.cluster, namespace=place.namespace, name=place.rollout, rollout=error.said
            )
        )
    raw = Raw(
        at=now(), date=date, cluster=place.cluster, namespace=place.namespace, name=place.rollout, rollout=rollout
    )
    _around(raw, place, door, rollout)
    _router(raw, place, door, rollout)
    raw.lease = _lease(place, door)
    if analysis:
        raw.analysis, raw.templates = _analysis(place, door, rollout), True
    return read(raw)


def again(state: RolloutState, place: Place, door: Door) -> RolloutState:
    """The Rollout once more, at the end of a look that would prove; where it has an active Service, that too."""
    if state.active.name:
        state = state.model_copy(
            update={"active": service(state.active.name, _service(place, door, state.active.name))}
        )
    rollout, _ = door.get(place.cluster, rollout_path(place))
    return with_rollout(state, rollout, None)


def glance(place: Place, door: Door, now: Callable[[], datetime]) -> RolloutState:
    """Only what the target history asks for: the Rollout, its ReplicaSets, the active Service."""
    rollout, date = door.get(place.cluster, rollout_path(place))
    raw = Raw(
        at=now(), date=date, cluster=place.cluster, namespace=place.namespace, name=place.rollout, rollout=rollout
    )
    names = wanted(rollout)
    raw.replica_sets = _replica_sets(place, door, names.selector)
    if names.active_service:
        raw.active_service = _service(place, door, names.active_service)
    return read(raw)


def _around(raw: Raw, place: Place, door: Door, rollout: Json) -> None:
    names = wanted(rollout)
    raw.replica_sets = _replica_sets(place, door, names.selector)
    if names.active_service:
        _behind(raw, place, door, names.active_service)
        return
    raw.stable_service = _service(place, door, names.stable_service)
    raw.canary_service = _service(place, door, names.canary_service)


def _replica_sets(place: Place, door: Door, selector: str) -> list[Json]:
    query = {"labelSelector": selector} if selector else {}
    answer, _ = door.list(place.cluster, f"/apis/apps/v1/namespaces/{place.namespace}/replicasets", query)
    return _items(answer)


def _items(answer: Json) -> list[Json]:
    return [one for one in answer.get("items") or [] if isinstance(one, dict)]


def _behind(raw: Raw, place: Place, door: Door, name: str) -> None:
    """The active Service, and who gets its requests: its EndpointSlices, and the pods of the hash that it selects."""
    raw.active_service = _service(place, door, name)
    if isinstance(raw.active_service, str):
        raw.slices = raw.pods = f"Service {name} cannot be read"
        return
    selects = text(part(raw.active_service, "spec", "selector").get(HASH_LABEL))
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{place.namespace}/endpointslices"
    try:
        raw.slices = _items(door.list(place.cluster, slices, {"labelSelector": f"{SERVICE_LABEL}={name}"})[0])
        pods = f"/api/v1/namespaces/{place.namespace}/pods"
        query = {"labelSelector": f"{HASH_LABEL}={selects}"}
        raw.pods = _items(door.list(place.cluster, pods, query)[0]) if selects else []
    except Refused as error:
        raw.slices = raw.pods = error.said


def _service(place: Place, door: Door, name: str) -> Json | str:
    if not name:
        return "the Rollout names none"
    try:
        return door.get(place.cluster, f"/api/v1/namespaces/{place.namespace}/services/{name}")[0]
    except Refused as error:
        return error.said


def _router(raw: Raw, place: Place, door: Door, rollout: Json) -> None:
    """The VirtualService by the newest version that this cluster serves; all versions show one object."""
    names = wanted(rollout)
    if not names.virtual_service:
        raw.router = "the Rollout names none"
        return
    for version in _ISTIO:
        path = f"/apis/networking.istio.io/{version}/namespaces/{names.router_namespace}/virtualservices/{names.virtual_service}"
        try:
            raw.router, _ = door.get(place.cluster, path)
        except Missing as error:
            raw.router = raw.router or error.said
            continue
        except Refused as error:
            raw.router = error.said
        raw.router_path = path
        return


def _lease(place: Place, door: Door) -> Json | str:
    """Never waited for: where it cannot be read, that is all that is known."""
    controller = getattr(place, "rollouts_namespace", "argo-rollouts")
    try:
        return door.get(place.cluster, f"/apis/coordination.k8s.io/v1/namespaces/{controller}/leases/{LEASE}")[0]
    except (Refused, Transient) as error:
        return error.said


def _analysis(place: Place, door: Door, rollout: Json) -> list[Json]:
    """By label, never by the status' pointers: a newer controller drops those at the abort."""
    current = text(part(rollout, "status").get("currentPodHash"))
    if not current:
        return []
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{place.namespace}/analysisruns"
    try:
        answer, _ = door.list(place.cluster, path, {"labelSelector": f"{HASH_LABEL}={current}"})
    except (Refused, Transient):
        return []
    return _items(answer)
