"""Raw Kubernetes objects in, one RolloutState out. Total: a surprise in an answer is an empty value, never an exception."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from server.core.argo import analysis, gitops, template
from server.core.argo import read_bluegreen as bluegreen
from server.core.argo.dig import items, maybe, number, owned, part, text, time
from server.core.argo.state import (
    Condition,
    Lease,
    ReplicaSet,
    RolloutState,
    Route,
    Router,
    Service,
    Weights,
)

Json = dict[str, Any]
HASH_LABEL = template.HASH_LABEL
_ROUTERS = ("alb", "ambassador", "apisix", "appMesh", "nginx", "plugins", "smi", "traefik")


@dataclass
class Raw:
    """What one look read, as it came. A text instead of an object says why it could not be read."""

    at: datetime
    date: datetime
    cluster: str
    namespace: str
    name: str
    rollout: Json | str | None = None
    replica_sets: Sequence[Json] = ()
    stable_service: Json | str = ""
    canary_service: Json | str = ""
    router: Json | str = ""
    router_path: str = ""
    lease: Json | str = ""
    analysis: Sequence[Json] = field(default_factory=tuple)
    active_service: Json | str = ""
    slices: Sequence[Json] | str = ""
    pods: Sequence[Json] | str = ""
    templates: bool = False


@dataclass(frozen=True)
class Wanted:
    """What the Rollout's spec names: where else to look."""

    selector: str
    stable_service: str
    canary_service: str
    virtual_service: str
    router_namespace: str
    routes: tuple[str, ...]
    active_service: str = ""


def wanted(rollout: Json) -> Wanted:
    """Which Services, which VirtualService, which pods the spec names."""
    canary = part(rollout, "spec", "strategy", "canary")
    namespace = text(part(rollout, "metadata").get("namespace"))
    reference, _ = _virtual_service(canary)
    # As the controller reads it: 'name' or 'name.namespace'.
    name, _, elsewhere = text(reference.get("name")).partition(".")
    routes = reference.get("routes")
    return Wanted(
        selector=_selector(part(rollout, "spec", "selector")),
        stable_service=text(canary.get("stableService")),
        canary_service=text(canary.get("canaryService")),
        virtual_service=name,
        router_namespace=elsewhere or namespace,
        routes=tuple(one for one in routes if isinstance(one, str)) if isinstance(routes, list) else (),
        active_service=text(part(rollout, "spec", "strategy", "blueGreen").get("activeService")),
    )


def _virtual_service(canary: Json) -> tuple[Json, int]:
    istio = part(canary, "trafficRouting", "istio")
    several = items(istio.get("virtualServices"))
    if several:
        return several[0], len(several)
    single = part(istio, "virtualService")
    return single, 1 if single else 0


def _selector(selector: Json) -> str:
    labels = part(selector, "matchLabels")
    terms = [f"{key}={value}" for key, value in sorted(labels.items()) if isinstance(value, str)]
    for one in items(selector.get("matchExpressions")):
        listed = one.get("values")
        values = ",".join(value for value in listed if isinstance(value, str)) if isinstance(listed, list) else ""
        forms = {"In": "{} in ({})", "NotIn": "{} notin ({})", "Exists": "{}", "DoesNotExist": "!{}"}
        terms.append(forms.get(text(one.get("operator")), "{}").format(text(one.get("key")), values))
    return ",".join(terms)


def read(raw: Raw) -> RolloutState:
    """The state that these objects show."""
    base: Json = {"at": raw.at, "date": raw.date, "cluster": raw.cluster, "namespace": raw.namespace, "name": raw.name}
    if raw.rollout is None:
        return RolloutState(**base, exists=False)
    if isinstance(raw.rollout, str):
        return RolloutState(**base, problem=raw.rollout)
    owner = text(part(raw.rollout, "metadata").get("uid"))
    own = [one for one in raw.replica_sets if owned(one, owner)]
    names = wanted(raw.rollout)
    state = RolloutState(
        **base,
        replica_sets=tuple(
            sorted((_replica_set(one) for one in own), key=lambda one: (str(one.created or ""), one.name))
        ),
        stable_service=service(names.stable_service, raw.stable_service),
        canary_service=service(names.canary_service, raw.canary_service),
        router=_router(raw, names, part(raw.rollout, "spec", "strategy", "canary")),
        lease=_lease(raw.lease),
    )
    if _strategy(part(raw.rollout, "spec")) == "blue-green":
        active = service(names.active_service, raw.active_service)
        behind = bluegreen.endpoints(raw.slices, raw.pods, own, active)
        state = state.model_copy(update={"active": active, "endpoints": behind})
    state = with_rollout(state, raw.rollout, own)
    if raw.templates and state.cur == state.sta:
        state = state.model_copy(update={"replica_sets": _with_templates(state.replica_sets, own, state.cur)})
    runs = [one for one in raw.analysis if owned(one, owner)]
    revision = text(part(raw.rollout, "metadata", "annotations").get("rollout.argoproj.io/revision"))
    return state.model_copy(update={"analysis": analysis.read_all(runs, revision)})


def _with_templates(sets: Sequence[ReplicaSet], own: Sequence[Json], current: str) -> tuple[ReplicaSet, ...]:
    """What each older one would put back: only a promoted version is ever undone."""
    by_name = {text(part(one, "metadata").get("name")): one for one in own}
    return tuple(
        one if one.hash == current else one.model_copy(update={"template": template.restored(by_name[one.name])})
        for one in sets
    )


def with_rollout(state: RolloutState, rollout: Json, own: Sequence[Json] | None) -> RolloutState:
    """The same look with the Rollout itself read (again). own: its ReplicaSets; None = only the Rollout was read again."""
    metadata, spec, status = part(rollout, "metadata"), part(rollout, "spec"), part(rollout, "status")
    canary = part(spec, "strategy", "canary")
    routing = part(canary, "trafficRouting")
    way = canary or part(spec, "strategy", "blueGreen")
    times = [when for one in items(metadata.get("managedFields")) if (when := time(one.get("time"))) is not None]
    pod_template = part(spec, "template")
    cur = text(status.get("currentPodHash"))
    differs = state.differs
    if own is not None or pod_template != state.template or cur != state.cur:
        carrier = next((one for one in own or () if _hash(one) == cur and cur), None)
        differs = None if carrier is None else template.carries(pod_template, carrier)
    fresh: Json = {
        "unsupported": _unsupported(rollout, state.name),
        "strategy": _strategy(spec),
        "uid": text(metadata.get("uid")),
        "resource_version": text(metadata.get("resourceVersion")),
        "generation": number(metadata.get("generation")),
        "observed_generation": _observed(status),
        "deleting": metadata.get("deletionTimestamp") is not None,
        "changed_at": max(times, default=None),
        "abort_by": sole_owner(rollout),
        "replicas": number(spec.get("replicas"), 1),
        "paused": spec.get("paused") is True,
        "template": pod_template,
        "differs": differs,
        "has_status": bool(status) and bool(cur),
        "cur": cur,
        "sta": text(status.get("stableRS")),
        "abort": status.get("abort") if isinstance(status.get("abort"), bool) else None,
        "aborted_at": text(status.get("abortedAt")),
        "promote_full": status.get("promoteFull") is True,
        "phase": text(status.get("phase")),
        "message": text(status.get("message")),
        "conditions": _conditions(status),
        "weights": _weights(status),
        "max_weight": number(routing.get("maxTrafficWeight"), 100),
        "dynamic_stable_scale": canary.get("dynamicStableScale") is True,
        "scale_down_delay": maybe(way.get("abortScaleDownDelaySeconds")),
        "rollback_window": number(part(spec, "rollbackWindow").get("revisions")),
        "gitops": gitops.keeper(metadata),
        "pauses": tuple(text(one.get("reason")) for one in items(status.get("pauseConditions"))),
        "controller_pause": status.get("controllerPause") is True,
        **bluegreen.gates(spec),
    }
    return state.model_copy(update=fresh)


def _strategy(spec: Json) -> Literal["canary", "blue-green", ""]:
    strategy = part(spec, "strategy")
    if isinstance(strategy.get("blueGreen"), Mapping):
        return "blue-green"
    return "canary" if isinstance(strategy.get("canary"), Mapping) else ""


def _observed(status: Json) -> int | None:
    observed = status.get("observedGeneration")
    if isinstance(observed, int) and not isinstance(observed, bool):
        return observed
    return int(observed) if isinstance(observed, str) and observed.isascii() and observed.isdecimal() else None


def _conditions(status: Json) -> dict[str, Condition]:
    return {
        text(one.get("type")): Condition(
            status=text(one.get("status")),
            reason=text(one.get("reason")),
            message=text(one.get("message"))[:1000],
            at=time(one.get("lastTransitionTime")),
        )
        for one in items(status.get("conditions"))
    }


def _weights(status: Json) -> Weights | None:
    weights = part(status, "canary", "weights")
    if not weights:
        return None
    canary, stable = part(weights, "canary"), part(weights, "stable")
    verified = weights.get("verified")
    return Weights(
        canary=number(canary.get("weight")),
        canary_hash=text(canary.get("podTemplateHash")),
        stable=number(stable.get("weight")),
        stable_hash=text(stable.get("podTemplateHash")),
        additional=sum(number(one.get("weight")) for one in items(weights.get("additional"))),
        verified=verified if isinstance(verified, bool) else None,
    )


def sole_owner(rollout: Json) -> str:
    """The field manager whose write alone set the abort; '' = several, or not known."""
    entries = items(part(rollout, "metadata").get("managedFields"))
    owners = {text(one.get("manager")) for one in entries if "f:abort" in part(one, "fieldsV1", "f:status")}
    return owners.pop() if len(owners) == 1 else ""


def _unsupported(rollout: Json, name: str) -> str:
    """Shapes that Ripcord does not act on, each refused with a sentence that says what it found."""
    spec = part(rollout, "spec")
    if isinstance(spec.get("workloadRef"), Mapping):
        kind = text(part(spec, "workloadRef").get("kind")) or "another object"
        return f"{name} takes its template from a {kind} (workloadRef); Ripcord does not act on those yet"
    return _unread_routing(part(spec, "strategy", "canary"), name) if _strategy(spec) == "canary" else ""


def _unread_routing(canary: Json, name: str) -> str:
    """Why the traffic of this canary could not be read."""
    routing = part(canary, "trafficRouting")
    istio = part(routing, "istio")
    reference, how_many = _virtual_service(canary)
    others = ", ".join(router for router in _ROUTERS if routing.get(router) is not None)
    services = text(canary.get("stableService")) and text(canary.get("canaryService"))
    found = (
        (others, f"Ripcord reads Istio VirtualServices only; {name} is routed by {others}"),
        (not istio, f"{name} is a basic canary without trafficRouting; Ripcord aborts canaries routed by Istio only"),
        (
            part(istio, "destinationRule"),
            f"{name} is routed by DestinationRule subsets; Ripcord reads two Services only",
        ),
        (
            isinstance(canary.get("pingPong"), Mapping),
            f"{name} uses pingPong Services; Ripcord does not act on those yet",
        ),
        (how_many > 1, f"{name} is routed by several VirtualServices ({how_many}); Ripcord reads one"),
        (not text(reference.get("name")), f"{name} names no VirtualService; where its traffic goes cannot be read"),
        (
            reference.get("tlsRoutes") or reference.get("tcpRoutes"),
            f"{name} is routed by tls or tcp routes; Ripcord reads http routes only",
        ),
        (not services, f"{name} names no stableService and canaryService; where its traffic goes cannot be read"),
    )
    return next((sentence for holds, sentence in found if holds), "")


def _hash(replica_set: Json) -> str:
    return text(part(replica_set, "metadata", "labels").get(HASH_LABEL))


def _replica_set(one: Json) -> ReplicaSet:
    metadata, status = part(one, "metadata"), part(one, "status")
    annotations = part(metadata, "annotations")
    return ReplicaSet(
        name=text(metadata.get("name")),
        hash=_hash(one),
        created=time(metadata.get("creationTimestamp")),
        revision=text(annotations.get("rollout.argoproj.io/revision")),
        replicas=number(part(one, "spec").get("replicas"), 1),
        ready=number(status.get("readyReplicas")),
        available=number(status.get("availableReplicas")),
        deadline=text(annotations.get("scale-down-deadline")),
        desired=text(annotations.get("rollout.argoproj.io/desired-replicas")),
        history=text(annotations.get("rollout.argoproj.io/revision-history")),
    )


def service(name: str, raw: Json | str) -> Service:
    """A Service, or why it says nothing."""
    if isinstance(raw, str):
        return Service(name=name, problem=raw or "not read")
    selector = part(raw, "spec", "selector")
    version = text(part(raw, "metadata").get("resourceVersion"))
    return Service(name=name, selects=text(selector.get(HASH_LABEL)), resource_version=version)


def _lease(raw: Json | str) -> Lease:
    if isinstance(raw, str):
        return Lease(problem=raw or "not read")
    spec = part(raw, "spec")
    renewed = time(spec.get("renewTime"))
    problem = "" if renewed else "the Lease has no renewTime"
    return Lease(holder=text(spec.get("holderIdentity")), renewed=renewed, problem=problem)


def _router(raw: Raw, names: Wanted, canary: Json) -> Router:
    if isinstance(raw.router, str):
        return Router(path=raw.router_path, name=names.virtual_service, problem=raw.router or "not read")
    metadata = part(raw.router, "metadata")
    http = items(part(raw.router, "spec").get("http"))
    own = [one for one in http if text(one.get("name")) in names.routes]
    if not names.routes and len(http) == 1:
        own = http
    problem = ""
    if not own or len(own) < len(set(names.routes)):
        problem = f"VirtualService {names.virtual_service} has not the routes that the Rollout names"
    elif not all(_reaches(one, names.stable_service, raw.namespace) for one in own):
        problem = f"VirtualService {names.virtual_service} does not route to {names.stable_service}"
    managed = {text(one.get("name")) for one in items(part(canary, "trafficRouting").get("managedRoutes"))}
    pinned = [
        one for one in http if text(one.get("name")) in managed and _reaches(one, names.canary_service, raw.namespace)
    ]
    return Router(
        path=raw.router_path,
        name=names.virtual_service,
        resource_version=text(metadata.get("resourceVersion")),
        routes=tuple(_route(one, names, raw.namespace) for one in own),
        pinned=tuple(text(one.get("name")) for one in pinned),
        problem=problem,
    )


def _host_is(destination: Json, service: str, namespace: str) -> bool:
    """Short name, name.namespace, or the whole name in the cluster."""
    host = text(part(destination, "destination").get("host"))
    return host == service or host == f"{service}.{namespace}" or host.startswith(f"{service}.{namespace}.")


def _reaches(route: Json, service: str, namespace: str) -> bool:
    mirrors = [{"destination": route.get("mirror")}, *items(route.get("mirrors"))]
    return any(_host_is(one, service, namespace) for one in [*items(route.get("route")), *mirrors])


def _route(route: Json, names: Wanted, namespace: str) -> Route:
    destinations = items(route.get("route"))
    sums = {"canary": 0, "stable": 0, "other": 0}
    for one in destinations:
        # A lone destination gets everything, whatever its weight; elsewhere an absent weight is nothing.
        weight = number(one.get("weight")) if len(destinations) > 1 else number(one.get("weight"), 100) or 100
        if _host_is(one, names.canary_service, namespace):
            sums["canary"] += weight
        else:
            sums["stable" if _host_is(one, names.stable_service, namespace) else "other"] += weight
    return Route(name=text(route.get("name")), **sums)
