"""ReplicaSets of revisions: found, made, numbered, and forgotten when there are too many."""

from __future__ import annotations

from copy import deepcopy

from sandbox.argo import conditions, injected
from sandbox.argo.names import (
    DEADLINE,
    DESIRED,
    HASH,
    REVISION,
    REVISION_HISTORY,
    WORKLOAD_GENERATION,
    Object,
    meta,
    name_of,
    notes,
    owner_reference,
    rfc3339,
    wanted,
)
from sandbox.argo.templates import hash_template, normalise, with_defaults
from sandbox.argo.view import View
from sandbox.argo.writes import difference


def sync(view: View, *, create: bool) -> bool:
    """Number the ReplicaSet of the template in spec, and make it when it is not there. True = it was made."""
    found = view.new
    if found is None:
        if not create:
            return False
        _make(view)
        return True
    _number(view, found)
    return False


def desired_on(view: View, replicaset: Object) -> None:
    if notes(replicaset).get(DESIRED) != str(view.replicas):
        view.patch("replicasets", replicaset, {"metadata": {"annotations": {DESIRED: str(view.replicas)}}})


def forget_old(view: View) -> None:
    """revisionHistoryLimit: the oldest ReplicaSets without pods go first."""
    limit = view.spec.get("revisionHistoryLimit")
    idle = [rs for rs in view.others if wanted(rs) == 0 and not notes(rs).get(DEADLINE)]
    idle.sort(key=lambda rs: (meta(rs).get("creationTimestamp") or "", int(notes(rs).get(REVISION, "0"))))
    for replicaset in idle[: max(0, len(view.others) - (10 if limit is None else int(limit)))]:
        view.replicasets = [rs for rs in view.replicasets if rs is not replicaset]
        view.delete("replicasets", replicaset)


def _highest(view: View) -> int:
    return max((int(notes(rs).get(REVISION, "0")) for rs in view.replicasets), default=0)


def _number(view: View, replicaset: Object) -> None:
    mine = int(notes(replicaset).get(REVISION, "0"))
    others = max((int(notes(rs).get(REVISION, "0")) for rs in view.replicasets if rs is not replicaset), default=0)
    if mine <= others:
        history = notes(replicaset).get(REVISION_HISTORY)
        numbers = {REVISION: str(others + 1), REVISION_HISTORY: f"{history},{mine}" if history else str(mine)}
        body: Object = {"metadata": {"annotations": numbers}}
        spec = replicaset["spec"]["template"]["spec"]
        apart = difference({"affinity": spec.get("affinity") or {}}, {"affinity": injected.affinity(view)})
        if apart:
            body["spec"] = {"template": {"spec": apart}}
        view.patch("replicasets", replicaset, body)
    _write_rollout(view, notes(replicaset)[REVISION])


def _write_rollout(view: View, revision: str) -> None:
    """The controller writes the whole typed object back: templates come back normalised, which may raise generation."""
    body: Object = {}
    marks = {REVISION: revision}
    if view.workload_generation:
        marks[WORKLOAD_GENERATION] = view.workload_generation
    changed = {key: value for key, value in marks.items() if notes(view.rollout).get(key) != value}
    if changed:
        body["metadata"] = {"annotations": changed}
    written = normalise(view.template)
    if written != view.template and "workloadRef" not in view.spec:
        body["spec"] = {"template": {"spec": deepcopy(written["spec"])}}
    if body:
        if "spec" in body:
            meta(view.rollout)["generation"] = int(meta(view.rollout).get("generation", 1)) + 1
        view.patch("rollouts", view.rollout, body)


def _make(view: View) -> None:
    pod_hash = hash_template(view.template, view.salt)
    template = with_defaults(view.template)
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), HASH: pod_hash}
    matched = ((view.spec.get("selector") or {}).get("matchLabels")) or {}
    replicaset: Object = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{view.name}-{pod_hash}",
            "namespace": view.namespace,
            "labels": dict(metadata["labels"]),
            "annotations": {REVISION: str(_highest(view) + 1), DESIRED: str(view.replicas)},
            "ownerReferences": [owner_reference(view.rollout)],
        },
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {**matched, HASH: pod_hash}},
            "template": template,
        },
        "status": {"replicas": 0},
    }
    injected.into(view, replicaset)
    view.create("replicasets", replicaset)
    seen = deepcopy(replicaset)
    meta(seen)["creationTimestamp"] = rfc3339(view.now)
    view.replicasets.append(seen)
    _write_rollout(view, notes(replicaset)[REVISION])
    _tell_created(view, name_of(replicaset))


def _tell_created(view: View, name: str) -> None:
    """A condition of its own, one write before the status takes the new hash over. Not seen out of a pause."""
    if view.status.get("pauseConditions"):
        return
    new = deepcopy(view.status)
    conditions.put(
        new, conditions.progressing("True", "NewReplicaSetCreated", f'Created new replica set "{name}"'), view.now
    )
    view.write_status(new)
