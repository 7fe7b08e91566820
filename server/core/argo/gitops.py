"""Does something else write this object from elsewhere? Then it would write the bad version back, live without any gate."""

from __future__ import annotations

from server.core.argo.dig import Json, part, text

_FLUX = (
    ("kustomize.toolkit.fluxcd.io", "Flux Kustomization"),
    ("helm.toolkit.fluxcd.io", "Flux HelmRelease"),
)


def keeper(metadata: Json) -> str:
    """'Argo CD application shop', by the marks that such tools leave; '' = none of them is there."""
    annotations, labels = part(metadata, "annotations"), part(metadata, "labels")
    if tracked := text(annotations.get("argocd.argoproj.io/tracking-id")):
        return f"Argo CD application {tracked.partition(':')[0][:100]}"
    for prefix, kind in _FLUX:
        if name := text(labels.get(f"{prefix}/name")):
            namespace = text(labels.get(f"{prefix}/namespace"))
            return f"{kind} {f'{namespace}/' if namespace else ''}{name}"
    if name := text(labels.get("argocd.argoproj.io/instance")):
        return f"Argo CD application {name}"
    # Argo CD's default mark before 3.0. Others set it too; who of them it was cannot be told from here.
    name = text(labels.get("app.kubernetes.io/instance"))
    return f"application {name} (label app.kubernetes.io/instance)" if name else ""
