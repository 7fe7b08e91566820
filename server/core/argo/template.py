"""Does a ReplicaSet carry exactly what a pod template says? Compared both ways (reference: how to act, section 0).

A pod hash does not identify what is in spec: between a hotfix and the controller's next write the old hash still stands.
So: nothing that spec sets may be missing or other in the ReplicaSet, and it may carry nothing beyond it but API defaults.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from server.core.argo import quantity
from server.core.argo.dig import items, part, text

HASH_LABEL = "rollouts-pod-template-hash"
_ANTI_AFFINITY = ("requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution")

Json = dict[str, Any]
Default = Callable[[Mapping[str, Any]], Any]


def _pull_policy(key: str) -> Default:
    """Always for the tag latest or none, IfNotPresent otherwise."""

    def policy(owner: Mapping[str, Any]) -> str:
        image, _, digest = str(owner.get(key) or "").partition("@")
        tag = image.rsplit("/", 1)[-1].partition(":")[2]
        return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"

    return policy


def _beside(key: str) -> Default:
    return lambda owner: owner.get(key)


_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")

# What the API server fills in: (names of the parent, field) -> value. Anything else that only one side has is a difference.
DEFAULTS: dict[tuple[str, str], Any] = {
    ("spec", "restartPolicy"): "Always",
    ("spec", "dnsPolicy"): "ClusterFirst",
    ("spec", "schedulerName"): "default-scheduler",
    ("spec", "terminationGracePeriodSeconds"): 30,
    ("spec", "enableServiceLinks"): True,
    ("spec", "preemptionPolicy"): "PreemptLowerPriority",
    ("spec", "serviceAccount"): _beside("serviceAccountName"),
    ("spec", "serviceAccountName"): _beside("serviceAccount"),
    ("securityContext", "procMount"): "Default",
    ("ports", "protocol"): "TCP",
    ("httpGet", "path"): "/",
    ("httpGet", "scheme"): "HTTP",
    ("fieldRef", "apiVersion"): "v1",
    ("resourceFieldRef", "divisor"): "0",
    ("secret", "defaultMode"): 420,
    ("configMap", "defaultMode"): 420,
    ("downwardAPI", "defaultMode"): 420,
    ("projected", "defaultMode"): 420,
    ("serviceAccountToken", "expirationSeconds"): 3600,
    ("image", "pullPolicy"): _pull_policy("reference"),
    ("iscsi", "iscsiInterface"): "default",
    ("rbd", "pool"): "rbd",
    ("rbd", "user"): "admin",
    ("rbd", "keyring"): "/etc/ceph/keyring",
    ("azureDisk", "cachingMode"): "ReadWrite",
    ("azureDisk", "kind"): "Shared",
    ("azureDisk", "fsType"): "ext4",
    ("azureDisk", "readOnly"): False,
    ("scaleIO", "storageMode"): "ThinProvisioned",
    ("scaleIO", "fsType"): "xfs",
    ("volumeClaimTemplate.spec", "volumeMode"): "Filesystem",
    **{(kind, "terminationMessagePath"): "/dev/termination-log" for kind in _CONTAINERS},
    **{(kind, "terminationMessagePolicy"): "File" for kind in _CONTAINERS},
    **{(kind, "imagePullPolicy"): _pull_policy("image") for kind in _CONTAINERS},
    **{(probe, "timeoutSeconds"): 1 for probe in _PROBES},
    **{(probe, "periodSeconds"): 10 for probe in _PROBES},
    **{(probe, "successThreshold"): 1 for probe in _PROBES},
    **{(probe, "failureThreshold"): 3 for probe in _PROBES},
}

# Maps whose keys are the user's own: an empty text in them is kept by the API server and means something.
_OWN_KEYS = frozenset(
    {
        "labels",
        "annotations",
        "nodeSelector",
        "matchLabels",
        "limits",
        "requests",
        "overhead",
        "options",
        "volumeAttributes",
    }
)
_QUANTITIES = frozenset({"limits", "requests", "overhead"})
_QUANTITY_FIELDS = frozenset({"sizeLimit", "divisor"})
# Empty objects that mean something: an empty selector selects everything, an absent one nothing.
_EMPTY_MEANS = frozenset({"labelSelector", "namespaceSelector", "selector"})
# Numbers, truths and texts that the API server keeps as zero, because absent means something else there.
_ZERO_MEANS = frozenset(
    {
        "activeDeadlineSeconds",
        "allowPrivilegeEscalation",
        "automountServiceAccountToken",
        "defaultMode",
        "enableServiceLinks",
        "expirationSeconds",
        "fsGroup",
        "hostUsers",
        "mode",
        "optional",
        "priority",
        "privileged",
        "readOnlyRootFilesystem",
        "runAsGroup",
        "runAsNonRoot",
        "runAsUser",
        "setHostnameAsFQDN",
        "shareProcessNamespace",
        "storageClassName",
        "terminationGracePeriodSeconds",
        "tolerationSeconds",
        "volumeName",
    }
)


def carries(template: Json, replica_set: Json) -> str:
    """Where a ReplicaSet's template and a Rollout's differ, both ways; '' = the ReplicaSet carries exactly that."""
    ignored = _ephemeral(replica_set)
    spec = _clean(template, ignored)
    carried = _clean(part(replica_set, "spec", "template"), ignored)
    return difference(spec, carried)


def difference(one: Json, other: Json) -> str:
    """Where two templates differ, both ways; '' = they are the same but for what the API server fills in."""
    if lost := missing(one, other):
        return f"{lost} is in spec only"
    if added := missing(other, one):
        return f"{added} is not in spec"
    return ""


def restored(replica_set: Json) -> Json:
    """A ReplicaSet's template as somebody wrote it: without what the controller put there, and without what that left empty.

    With the injected term or the ephemeral metadata left in, the controller would make a new ReplicaSet of it (recorded).
    """
    cleaned = _clean(part(replica_set, "spec", "template"), _ephemeral(replica_set))
    if not cleaned.get("metadata"):
        cleaned.pop("metadata", None)
    spec = cleaned.get("spec")
    if isinstance(spec, Mapping) and isinstance(spec.get("affinity"), Mapping):
        affinity = {key: value for key, value in spec["affinity"].items() if value or key != "podAntiAffinity"}
        rest = {key: value for key, value in spec.items() if key != "affinity"}
        cleaned["spec"] = {**rest, "affinity": affinity} if affinity else rest
    return cleaned


def missing(wanted: Json, have: Json) -> str:
    """The first path that `wanted` sets and `have` lacks or has otherwise; '' = none. One way."""
    return _map(_clean(wanted, frozenset()), _clean(have, frozenset()), "", "")


def _map(wanted: Mapping[str, Any], have: Mapping[str, Any], parent: str, path: str) -> str:
    for key in sorted(wanted):
        value = wanted[key]
        here = f"{path}.{key}" if path else key
        if parent not in _OWN_KEYS and _nothing(key, value):
            continue
        if _absent(parent, key, have):
            if not _default(parent, path, key, value, have):
                return here
        elif found := _value(value, have[key], parent, key, here):
            return found
    return ""


def _absent(parent: str, key: str, have: Mapping[str, Any]) -> bool:
    """A zero that the API server drops is as absent as no field at all."""
    value = have.get(key)
    if value is None:
        return True
    return parent not in _OWN_KEYS and not isinstance(value, Mapping | list | tuple) and _nothing(key, value)


def _value(wanted: Any, have: Any, parent: str, key: str, path: str) -> str:
    if parent in _QUANTITIES or key in _QUANTITY_FIELDS:
        return "" if quantity.same(wanted, have) else path
    if isinstance(wanted, Mapping) and isinstance(have, Mapping):
        return _map(wanted, have, key, path)
    if _is_list(wanted) and _is_list(have):
        return _list(wanted, have, key, path)
    return "" if type(wanted) is type(have) and wanted == have else path


def _list(wanted: Sequence[Any], have: Sequence[Any], key: str, path: str) -> str:
    if (names := _names(wanted)) is not None and (held := _names(have)) is not None:
        # The order of named things counts too: init containers run in it, variables refer back in it.
        in_both = [name for name in held if name in set(names)]
        if in_both != names:
            return f"{path}[{next(iter([name for name in names if name not in held]), 'order')}]"
        by_name = dict(zip(held, have, strict=True))
        pairs = [(item, by_name[name], name) for item, name in zip(wanted, names, strict=True)]
    elif len(wanted) > len(have):
        return f"{path}[{len(have)}]"
    else:
        pairs = [(item, have[index], str(index)) for index, item in enumerate(wanted)]
    for item, counterpart, name in pairs:
        if found := _value(item, counterpart, "", key, f"{path}[{name}]"):
            return found
    return ""


def _names(items: Sequence[Any]) -> list[str] | None:
    """The items' names, where each has one of its own."""
    names = [item.get("name") if isinstance(item, Mapping) else None for item in items]
    texts = [name for name in names if isinstance(name, str) and name]
    return texts if len(texts) == len(items) and len(set(texts)) == len(texts) else None


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _nothing(key: str, value: Any) -> bool:
    """Null, empty, or a zero that the API server drops when it stores the object."""
    if value is None:
        return True
    if isinstance(value, Mapping | list | tuple):
        # A mapping of nothings is itself nothing, except where being there at all means something.
        if key in _EMPTY_MEANS:
            return False
        if isinstance(value, Mapping) and key not in _OWN_KEYS:
            return all(_nothing(inner, content) for inner, content in value.items())
        return not value
    if key in _ZERO_MEANS:
        return False
    return value in (0, "", False)


def _default(parent: str, path: str, key: str, value: Any, other: Mapping[str, Any]) -> bool:
    """Whether a field that the other side lacks means just this value there."""
    default = DEFAULTS.get((parent, key))
    if default is None and path.endswith("volumeClaimTemplate.spec"):
        default = DEFAULTS.get(("volumeClaimTemplate.spec", key))
    if default is None:
        return key == "securityContext" and isinstance(value, Mapping) and _all_default(value, f"{path}.{key}")
    if callable(default):
        return bool(value == default(other))
    if key in _QUANTITY_FIELDS:
        return quantity.same(value, default)
    return type(value) is type(default) and value == default


def _all_default(value: Mapping[str, Any], path: str) -> bool:
    """A security context that holds only defaults is as good as none."""
    return all(
        _nothing(key, content) or _default("securityContext", path, key, content, {}) for key, content in value.items()
    )


def _clean(template: Json, ignored: frozenset[tuple[str, str]]) -> Json:
    """Without what the controller itself puts there: hash label, ephemeral metadata, its anti-affinity term."""
    metadata = part(template, "metadata")
    for kind in ("labels", "annotations"):
        if isinstance(metadata.get(kind), Mapping):
            metadata[kind] = {
                key: value for key, value in metadata[kind].items() if key != HASH_LABEL and (kind, key) not in ignored
            }
    cleaned = {**template, "metadata": {key: value for key, value in metadata.items() if value}}
    spec = template.get("spec")
    if isinstance(spec, Mapping) and isinstance(spec.get("affinity"), Mapping):
        cleaned["spec"] = {**spec, "affinity": _without_injected(spec["affinity"])}
    return cleaned


def _without_injected(affinity: Mapping[str, Any]) -> Json:
    anti = affinity.get("podAntiAffinity")
    if not isinstance(anti, Mapping):
        return dict(affinity)
    kept = {
        key: [term for term in terms if not _injected(term)] if key in _ANTI_AFFINITY and _is_list(terms) else terms
        for key, terms in anti.items()
    }
    return {**affinity, "podAntiAffinity": {key: terms for key, terms in kept.items() if terms}}


def _injected(term: Any) -> bool:
    """The controller's own term: it selects by the hash label alone."""
    if not isinstance(term, Mapping):
        return False
    selector = part(part(term, "podAffinityTerm") or term, "labelSelector")
    expressions = selector.get("matchExpressions")
    if selector.get("matchLabels") or not isinstance(expressions, list) or len(expressions) != 1:
        return False
    return [one.get("key") for one in items(expressions)] == [HASH_LABEL]


def _ephemeral(replica_set: Json) -> frozenset[tuple[str, str]]:
    """The label and annotation keys that the controller adds while a version plays a role."""
    annotations = part(replica_set, "metadata", "annotations")
    try:
        added = json.loads(text(annotations.get("rollout.argoproj.io/ephemeral-metadata")) or "{}")
    except (ValueError, RecursionError):
        return frozenset()
    if not isinstance(added, dict):
        return frozenset()
    kinds = ("labels", "annotations")
    return frozenset((kind, key) for kind in kinds if isinstance(added.get(kind), dict) for key in added[kind])
