"""The Rollouts controller: its cache, its Lease and its clock work around the pure rooms that decide the writes."""

from __future__ import annotations

import random
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any, Protocol

from sandbox.argo import bluegreen, canary, endpoints, timers, traffic, validate
from sandbox.argo.analysis import Analyses
from sandbox.argo.cache import Cache, Key
from sandbox.argo.kubelet import Kubelet
from sandbox.argo.lease import NAME, NAMESPACE, Leader
from sandbox.argo.names import (
    HASH,
    MANAGER,
    REVISION,
    V1_9,
    V1_10,
    Object,
    hash_of,
    meta,
    name_of,
    namespace_of,
    notes,
    owned_by,
)
from sandbox.argo.pods import Pods
from sandbox.argo.view import View
from sandbox.argo.writes import Write, merge

SETTINGS = (
    "controller",
    "stable_missing_pod",
    "unsaturated",
    "unready",
    "swallow_next",
    "hold_status",
    "stuck",
    "rollouts",
)


_NOT_WATCHED = ("leases", "events", "pods", "endpointslices")


class Objects(Protocol):
    """The part of the store that a controller uses."""

    observers: list[Any]

    def get(self, kind: str, namespace: str, name: str) -> Object | None: ...
    def list(self, kind: str, namespace: str | None = None) -> list[Object]: ...
    def create(self, kind: str, obj: Object, *, manager: str) -> Object: ...
    def update(
        self, kind: str, namespace: str, name: str, change: Any, *, manager: str, subresource: str = ""
    ) -> bool: ...
    def delete(self, kind: str, namespace: str, name: str) -> bool: ...


class Controller:
    """Acts in `tick`; `set` changes what life does not offer (CONTRACTS §9, the keys in SETTINGS)."""

    def __init__(self, store: Objects, rng: random.Random) -> None:
        self.store = store
        self.version = V1_9
        self.analyses = Analyses()
        self._leader = Leader(rng)
        self._cache = Cache()
        self._kubelet = Kubelet()
        self._pods = Pods(store)
        self._moved = True  # something that pods or endpoints depend on
        self._salt = f"{rng.getrandbits(64):016x}"
        self._slow: timedelta | None = None
        self._missing: Key | None = None
        self._unsaturated: Key | None = None
        self._unready: dict[Key, int] = {}
        self._hold: dict[str, Any] | None = None
        self._held: dict[Key, tuple[datetime, list[Write]]] = {}
        self._stuck: set[Key] = set()  # Rollouts in which a worker hangs: the others go on, and the Lease is renewed
        self._now: datetime | None = None
        self._mode = "up"
        self.troubles: dict[str, str] = {}  # Rollouts that this player cannot follow; the rest of the world goes on
        self._changes = 0
        self._quiet: dict[Key, tuple[int, datetime]] = {}  # nothing to do until something changes, or until then
        store.observers.append(self._observe)

    def tick(self, now: datetime) -> None:
        self._now, changes = now, self._changes
        self._turn(now, changes)
        self.settle(now)

    def settle(self, now: datetime) -> None:
        """Pods and what is behind the Services follow, whoever leads and whether anybody does."""
        if self._moved or self._pods.ending:
            self._moved = False
            self._pods.tick(now)
            endpoints.tick(self.store)

    def _turn(self, now: datetime, changes: int) -> None:
        seen = {str(meta(rs)["uid"]): rs for rs in self.store.list("replicasets")}
        self._apply(self._kubelet.tick(list(seen.values()), self._pods_missing()), "kubelet")
        lease = self._leader.tick(now, self.store.get("leases", NAMESPACE, NAME))
        if lease is not None and self.store.get("namespaces", "", NAMESPACE) is not None:
            self._apply([lease], MANAGER)
        if not self._leader.acts:
            return
        self._apply(self.analyses.tick(self.store.list("analysisruns"), now, self.version), MANAGER)
        for rollout in self.store.list("rollouts"):
            self._pass(rollout, seen, now, changes)

    def set(self, settings: dict[str, Any], now: datetime) -> None:
        """Only the keys that are named; None clears. Unknown keys and nonsense: ValueError, and nothing is changed."""
        for key, value in settings.items():
            self._check(key, value)
        self._now = now
        self._quiet.clear()
        for key, value in settings.items():
            self._set(key, value, now)
        if {"stable_missing_pod", "unsaturated", "unready"} & set(settings):
            self._apply(self._kubelet.tick(self.store.list("replicasets"), self._pods_missing(), grow=False), "kubelet")
            self.settle(now)

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "controller": {"slow": self._slow.total_seconds()} if self._slow is not None else self._mode,
            "acts": self._leader.acts,
            "stable_missing_pod": _text(self._missing),
            "unsaturated": _text(self._unsaturated),
            "unready": {"/".join(key): count for key, count in self._unready.items()},
            "swallow_next": [_text(key) for key in self._cache.waiting],
            "unseen": [_text(key) for key in self._cache.unseen],
            "hold_status": self._hold,
            "stuck": [_text(key) for key in sorted(self._stuck)],
            "rollouts": self.version,
            "troubles": dict(self.troubles),
        }

    def end(self) -> None:
        self.analyses.end()

    # What one Rollout gets in one tick.

    def _pass(self, stored: Object, seen: dict[str, Object], now: datetime, changes: int) -> None:
        key = (namespace_of(stored), name_of(stored))
        unchanged, due = self._quiet.get(key, (-1, now))
        if key in self._stuck or (unchanged == self._changes and now < due and key not in self._held):
            return
        if self._release(key, now) or self._cache.late(key, now) or meta(stored).get("deletionTimestamp"):
            return
        view = self._view(self._cache.seen(key, stored), seen, now)
        try:
            self._decide(view)
        except (LookupError, TypeError, ValueError, AttributeError) as odd:
            self.troubles[f"{key[0]}/{key[1]}"] = repr(odd)
            return
        self.troubles.pop(f"{key[0]}/{key[1]}", None)
        self._apply(self._withhold(key, view.writes, now), MANAGER)
        self._quiet.pop(key, None)
        if not view.writes:
            self._quiet[key] = (changes, timers.due(view))

    def _decide(self, view: View) -> None:
        words = validate.problem(view)
        if words:
            validate.write(view, words)
        elif (view.spec.get("strategy") or {}).get("blueGreen"):
            bluegreen.reconcile(view)
        else:
            canary.reconcile(view)
        traffic.release_unused(view, validate.referenced(view))

    def _view(self, rollout: Object, seen: dict[str, Object], now: datetime) -> View:
        """ReplicaSets with the status of the tick before: the controller hears of pods a moment later."""
        namespace = namespace_of(rollout)
        mine = [deepcopy(rs) for rs in self.store.list("replicasets", namespace) if owned_by(rs, rollout)]
        for replicaset in mine:
            older = seen.get(str(meta(replicaset)["uid"]))
            if older is not None and "status" in older:
                replicaset["status"] = deepcopy(older["status"])
        workload = self._workload(rollout)
        templates = {name_of(one): one for one in self.store.list("analysistemplates", namespace)}
        templates |= {f"cluster/{name_of(one)}": one for one in self.store.list("clusteranalysistemplates")}
        return View(
            now=now,
            rollout=_with_template_of(deepcopy(rollout), workload),
            replicasets=mine,
            services={name_of(one): deepcopy(one) for one in self.store.list("services", namespace)},
            virtualservices={name_of(one): deepcopy(one) for one in self.store.list("virtualservices", namespace)},
            runs=[deepcopy(run) for run in self.store.list("analysisruns", namespace) if owned_by(run, rollout)],
            templates=templates,
            version=self.version,
            salt=self._salt,
            workload=workload,
            two_templates="workloadRef" in rollout["spec"] and "template" in rollout["spec"],
        )

    def _workload(self, rollout: Object) -> Object | None:
        name = ((rollout.get("spec") or {}).get("workloadRef") or {}).get("name")
        return self.store.get("deployments", namespace_of(rollout), str(name)) if name else None

    def _apply(self, writes: list[Write], manager: str) -> None:
        for write in writes:
            there = self.store.get(write.kind, write.namespace, write.name) is not None
            if there == (write.action == "create"):
                continue
            if write.action == "create":
                self.store.create(write.kind, write.body, manager=manager)
            elif write.action == "delete":
                self.store.delete(write.kind, write.namespace, write.name)
            else:
                self._patch(write, manager)

    def _patch(self, write: Write, manager: str) -> None:
        def change(obj: Object) -> None:
            merge(obj, write.body)

        self.store.update(
            write.kind, write.namespace, write.name, change, manager=manager, subresource=write.subresource
        )

    # hold_status: a receiver that hangs between the router's write and the status write.

    def _withhold(self, key: Key, writes: list[Write], now: datetime) -> list[Write]:
        if self._hold is None or _key(self._hold["object"]) != key:
            return writes
        first = next((i for i, one in enumerate(writes) if one.kind == "rollouts" and one.subresource), None)
        if first is None:
            return writes
        self._held[key] = (now + timedelta(seconds=float(self._hold["seconds"])), writes[first:])
        return writes[:first]

    def _release(self, key: Key, now: datetime) -> bool:
        """True while the worker hangs in this Rollout."""
        if key not in self._held:
            return False
        until, writes = self._held[key]
        if self._hold is not None and now < until:
            return True
        del self._held[key]
        self._hold = None
        self._apply(writes, MANAGER)
        return False

    # What a control call sets.

    def _check(self, key: str, value: Any) -> None:
        if key not in SETTINGS:
            raise ValueError(f"kubernetes: unknown key {key!r}, one of {', '.join(SETTINGS)} is wanted")
        if value is None:
            return
        if key == "controller" and not _is_mode(value):
            raise ValueError('controller: "up", "down", "failing_over" or {"slow": seconds} is wanted')
        if key == "rollouts" and value not in (V1_9, V1_10):
            raise ValueError(f"rollouts: {V1_9} or {V1_10} is wanted")
        if key == "hold_status" and not (isinstance(value, dict) and set(value) == {"object", "seconds"}):
            raise ValueError('hold_status: {"object": "ns/name", "seconds": n} is wanted')
        if key in ("stable_missing_pod", "unsaturated", "swallow_next"):
            _key(value)
        if key == "hold_status":
            _key(value["object"])
            float(value["seconds"])
        if key in ("unready", "stuck"):
            _check_keys(key, value)

    def _set(self, key: str, value: Any, now: datetime) -> None:
        if key == "controller":
            self._set_controller(value, now)
        elif key == "stable_missing_pod":
            self._missing = None if value is None else _key(value)
        elif key == "unsaturated":
            self._unsaturated = None if value is None else _key(value)
        elif key == "unready":
            self._unready = {_key(one): int(count) for one, count in (value or {}).items()}
        elif key == "swallow_next" and (value is None or self.version == V1_9):
            self._cache.swallow_next(None if value is None else _key(value))
        elif key == "hold_status":
            self._hold = value
        elif key == "stuck":
            self._stuck = {_key(one) for one in value or ()}
        elif key == "rollouts":
            self.version = value or V1_9

    def _set_controller(self, value: Any, now: datetime) -> None:
        self._slow = None
        self._cache.forget_late()
        self._mode = "up" if value is None or isinstance(value, dict) else value
        if value == "down":
            self._leader.go_down()
        elif value == "failing_over":
            self._leader.fail_over(now)
        else:
            self._leader.come_up(now)
            if isinstance(value, dict):
                self._slow = timedelta(seconds=float(value["slow"]))

    def _pods_missing(self) -> dict[str, int]:
        missing: dict[str, int] = {}
        for key, count in self._unready.items():
            replicaset = self.store.get("replicasets", *key)
            if replicaset is not None:
                missing[str(meta(replicaset)["uid"])] = count
        for named, newest in ((self._missing, False), (self._unsaturated, True)):
            rollout = self.store.get("rollouts", *named) if named is not None else None
            if rollout is None:
                continue
            mine = [rs for rs in self.store.list("replicasets", namespace_of(rollout)) if owned_by(rs, rollout)]
            sta = (rollout.get("status") or {}).get("stableRS")
            chosen = mine if newest else [rs for rs in mine if hash_of(rs) == sta]
            if chosen:
                last = max(chosen, key=lambda rs: int(notes(rs).get(REVISION, "0")))
                missing[str(meta(last)["uid"])] = 1
        return missing

    def _observe(
        self, kind: str, namespace: str, name: str, before: Object | None, after: Object | None, by_client: bool
    ) -> None:
        self._moved |= kind in ("pods", "replicasets", "services")
        self._changes += kind not in _NOT_WATCHED and not _wakes_nobody(kind, after)
        if kind == "rollouts" and self._now is not None:
            self._cache.changed((namespace, name), before, by_client=by_client, slow=self._slow, now=self._now)


def _wakes_nobody(kind: str, after: Object | None) -> bool:
    """A Service without the hash in its selector is nobody's concern, even where it was a managed one."""
    return kind == "services" and after is not None and HASH not in (after["spec"].get("selector") or {})


def _with_template_of(rollout: Object, workload: Object | None) -> Object:
    """workloadRef: the Deployment lends its template and selector; they are never written back."""
    if workload is not None:
        rollout["spec"]["template"] = deepcopy(workload["spec"]["template"])
        rollout["spec"].setdefault("selector", deepcopy(workload["spec"].get("selector")))
    return rollout


def _is_mode(value: Any) -> bool:
    if isinstance(value, dict):
        return set(value) == {"slow"} and isinstance(value["slow"], int | float) and value["slow"] >= 0
    return value in ("up", "down", "failing_over")


def _key(text: Any) -> Key:
    namespace, _, name = str(text).partition("/")
    if not namespace or not name or "/" in name:
        raise ValueError(f'"ns/name" is wanted, not {text!r}')
    return namespace, name


def _check_keys(setting: str, value: Any) -> None:
    """Several at once: with a count each, or just named."""
    for one in list(value):
        _key(one)
        if setting == "unready":
            int(value[one])


def _text(key: Key | None) -> str | None:
    return None if key is None else "/".join(key)
