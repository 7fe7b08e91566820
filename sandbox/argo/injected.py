"""What the controller itself puts into a ReplicaSet's template: metadata of a role, and the wish to stay apart from stable.

None of it is part of the version: a ReplicaSet is found by its template without them.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING

from sandbox.argo.names import EPHEMERAL, HASH, Object, hash_of, meta, notes
from sandbox.argo.writes import difference

if TYPE_CHECKING:
    from sandbox.argo.view import View

_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def without(replicaset: Object, strategy: Object) -> Object:
    """The template as people have written it."""
    template: Object = replicaset["spec"]["template"]
    if not strategy.get("antiAffinity") and not notes(replicaset).get(EPHEMERAL):
        return template
    template = deepcopy(template)
    for part, values in _remembered(replicaset).items():
        kept = {key: value for key, value in (meta(template).get(part) or {}).items() if key not in values}
        meta(template)[part] = kept
    if strategy.get("antiAffinity"):
        template["spec"]["affinity"] = _without_term(template["spec"].get("affinity") or {}, strategy["antiAffinity"])
    return template


def into(view: View, replicaset: Object) -> None:
    """Into a ReplicaSet that is about to be made."""
    template = replicaset["spec"]["template"]
    wished = affinity(view)
    if wished:
        template["spec"]["affinity"] = wished
    metadata = _wished(view)
    if metadata:
        for part in ("labels", "annotations"):
            if metadata.get(part):
                meta(template)[part] = (meta(template).get(part) or {}) | metadata[part]
        meta(replicaset)["annotations"][EPHEMERAL] = json.dumps(metadata, separators=(",", ":"))


def affinity(view: View) -> Object:
    """The template's own, and apart from the stable version where there is one and the strategy asks for it."""
    own: Object = deepcopy((view.template.get("spec") or {}).get("affinity") or {})
    apart = (view.blue_green or view.canary).get("antiAffinity")
    stable = view.status.get("stableRS")
    if not apart or not stable or stable == view.current_hash:
        return own
    term: Object = {
        "labelSelector": {"matchExpressions": [{"key": HASH, "operator": "In", "values": [stable]}]},
        "namespaces": [view.namespace],
        "topologyKey": "kubernetes.io/hostname",
    }
    terms = own.setdefault("podAntiAffinity", {})
    if apart.get(_PREFERRED) is not None:
        weighted = {"weight": apart[_PREFERRED].get("weight"), "podAffinityTerm": term}
        terms[_PREFERRED] = [*(terms.get(_PREFERRED) or []), weighted]
    else:
        terms[_REQUIRED] = [*(terms.get(_REQUIRED) or []), term]
    return own


def reconcile(view: View, upcoming: Object | None, settled: Object | None) -> None:
    """Metadata follows the role: the new version's, the stable one's, none for all others."""
    stable = view.status.get("stableRS")
    for replicaset in view.replicasets:
        if replicaset is view.new:
            _put(view, replicaset, settled if stable in (None, "", hash_of(replicaset)) else upcoming)
        else:
            _put(view, replicaset, settled if replicaset is view.stable else None)


def _put(view: View, replicaset: Object, wished: Object | None) -> None:
    before: Object = meta(replicaset["spec"]["template"])
    after = deepcopy(before)
    for part in ("labels", "annotations"):
        gone = _remembered(replicaset).get(part) or {}
        kept = {key: value for key, value in (after.get(part) or {}).items() if key not in gone}
        after[part] = kept | ((wished or {}).get(part) or {})
        if not after[part]:
            del after[part]
    if after == before:
        return
    remembered = json.dumps(wished, separators=(",", ":")) if wished is not None else None
    body = {
        "metadata": {"annotations": {EPHEMERAL: remembered}},
        "spec": {"template": {"metadata": difference(before, after)}},
    }
    view.patch("replicasets", replicaset, body)


def _wished(view: View) -> Object | None:
    roles = ("previewMetadata", "activeMetadata") if view.blue_green else ("canaryMetadata", "stableMetadata")
    found: Object | None = (view.blue_green or view.canary).get(roles[0] if view.stable is not None else roles[1])
    return found


def _remembered(replicaset: Object) -> dict[str, Object]:
    text = notes(replicaset).get(EPHEMERAL)
    return dict(json.loads(text)) if text else {}


def _without_term(own: Object, apart: Object) -> Object:
    terms = own.get("podAntiAffinity") or {}
    key = _PREFERRED if apart.get(_PREFERRED) is not None else _REQUIRED
    kept = list(terms.get(key) or [])
    injected = next((one for one in kept if _is_ours(one.get("podAffinityTerm", one))), None)
    if injected is None:
        return own
    kept.remove(injected)
    return {**own, "podAntiAffinity": {**terms, key: kept}}


def _is_ours(term: Object) -> bool:
    expressions = (term.get("labelSelector") or {}).get("matchExpressions") or []
    return any(one.get("key") == HASH for one in expressions)
