"""The table of lies: worlds in which every call answers 200 and traffic is not back, each with the one sentence that is true there.

The sentences are written from what the world is made to be, by hand; `{cur}` and `{sta}` stand for the first four characters of
the bad version's hash and of the good one's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.story.liars import (
    Script,
    a_pod_is_missing,
    acknowledged,
    acknowledged_then,
    after,
    another_slice,
    answered_off,
    answered_pending,
    archived,
    came_back_as,
    changed_on_the_way,
    deleted,
    held,
    made_anew,
    no_pod_is_ready,
    no_pods_are_wanted,
    not_stored,
    nothing,
    once_passed,
    once_seen,
    overlooked,
    pointed,
    promoted,
    released,
    routed,
    said_by_status,
    scaled_up,
    scheduled,
    service_put_back_each_time,
    shown_without_its_environment,
    stable_again_without_the_service,
    stable_set,
    status_takes_the_canary_for_stable,
    stuck,
    swallow,
    switched,
    switched_then,
    turned,
    weighed,
)
from tests.story.lying import Json, Place

DYNAMIC: Json = {
    "canary": {
        "steps": [{"setWeight": 25}, {"setWeight": 50}, {"setWeight": 75}, {"pause": {}}],
        "dynamicStableScale": True,
        "abortScaleDownDelaySeconds": 600,
    },
    "spec": {"replicas": 4},
}


@dataclass(frozen=True)
class Lie:
    """id: the state, in words. shape: where the Rollout is when it hurts (a, b, c: blue-green). plays: while the run goes on.

    patience: seconds of the target's budgets; longer where all must first be well, and the run then ends by itself.
    """

    id: str
    shape: str
    says: str
    plays: Script = nothing
    ends: str = "unproven"
    before: Script = nothing
    spec: Json = field(default_factory=dict)
    patience: int = 6


THIRD_HOST = [{"destination": {"host": "web-stable"}, "weight": 75}, {"destination": {"host": "web-old"}, "weight": 25}]
PINNED = {
    "name": "testers",
    "match": [{"headers": {"tester": {"exact": "yes"}}}],
    "route": [{"destination": {"host": "web-canary"}, "weight": 100}],
}
MANAGED: Json = {
    "canary": {
        "trafficRouting": {
            "managedRoutes": [{"name": "testers"}],
            "istio": {"virtualService": {"name": "web", "routes": ["primary"]}},
        }
    }
}
OTHER = [{"podTemplateHash": "other", "serviceName": "web-other", "weight": 10}]
ROUTE_0 = {"name": "primary", "route": Place.route(0)}

UNSEEN = "the controller has not acknowledged the abort; the router sends 25 % to the canary"
AT_25 = "route primary of web sends 25 % to the canary"
RELEASED = " was released meanwhile"
TAKEN_BACK = "the abort of {cur} was taken back: somebody retried it"
ON_AGAIN = "{name} in production was turned on again at "

LIES: tuple[Lie, ...] = (
    # A canary: the controller does not carry it out.
    Lie(
        "the controller overlooks the abort and each wake",
        "canary",
        "the controller did not see the abort, woken ",
        overlooked,
        before=swallow,
    ),
    Lie("a worker of the controller hangs", "canary", UNSEEN, before=stuck),
    Lie(
        "a receiver hangs before the acknowledgement",
        "canary",
        "the acknowledgement has not come: most likely a notification receiver",
        before=held,
    ),
    Lie("stable lacks a pod", "canary", "stable has 1 of 2 pods", before=a_pod_is_missing),
    Lie(
        "dynamicStableScale is deadlocked",
        "canary",
        "dynamicStableScale with abortScaleDownDelaySeconds stops at 50 %: remove that field or restore the stable template",
        spec=DYNAMIC,
    ),
    Lie(
        "Degraded for another reason",
        "canary",
        UNSEEN,
        after(said_by_status(phase="Degraded", message="ProgressDeadlineExceeded: timed out")),
        before=stuck,
    ),
    Lie(
        "the abort is answered and never stored",
        "canary",
        "the abort of {cur} was accepted and is not there: somebody took it back at once, or it was never kept",
        ends="failed",
        before=not_stored,
    ),
    # A canary: acknowledged, and the requests go elsewhere.
    Lie("status says 0 and the router 25", "canary", AT_25, acknowledged(weighed(25)), before=stuck),
    Lie("the router says 0 and status 25", "canary", "status says 25 % canary", acknowledged(canary=25), before=stuck),
    Lie("the router flickers", "canary", AT_25, acknowledged_then(weighed(25)), before=stuck, patience=15),
    Lie(
        "the route has another name",
        "canary",
        "VirtualService web has not the routes that the Rollout names",
        acknowledged(routed({**ROUTE_0, "name": "main"})),
        before=stuck,
    ),
    Lie(
        "the route goes to a third host",
        "canary",
        "route primary of web sends 25 % elsewhere",
        acknowledged(routed({**ROUTE_0, "route": THIRD_HOST})),
        before=stuck,
    ),
    Lie(
        "a header still leads to the canary",
        "canary",
        "route testers of web still reaches the canary",
        acknowledged(routed(PINNED, ROUTE_0)),
        before=stuck,
        spec=MANAGED,
    ),
    Lie(
        "the router is deleted",
        "canary",
        "the router cannot be read",
        acknowledged(deleted(lambda place: place.router_path)),
        before=stuck,
    ),
    Lie(
        "an experiment gets 10 percent",
        "canary",
        "status says 10 % canary",
        acknowledged(additional=OTHER),
        before=stuck,
    ),
    Lie(
        "the weights are not verified",
        "canary",
        "the weights are not verified",
        acknowledged(verified=False),
        before=stuck,
    ),
    Lie(
        "status takes the canary for stable",
        "canary",
        "status names {cur} as stable, judged was {sta}",
        status_takes_the_canary_for_stable,
        before=stuck,
    ),
    Lie(
        "the stable Service selects the canary",
        "canary",
        "Service web-stable selects {cur}, not stable {sta}",
        acknowledged(pointed("web-stable", "cur")),
        before=stuck,
    ),
    Lie(
        "the stable Service selects no version",
        "canary",
        "Service web-stable selects nothing, not stable {sta}",
        acknowledged(pointed("web-stable", "")),
        before=stuck,
    ),
    Lie(
        "the stable Service is deleted",
        "canary",
        "Service web-stable cannot be read",
        acknowledged(deleted(lambda place: f"{place.core}/services/web-stable")),
        before=stuck,
    ),
    Lie(
        "stable is scaled to nothing",
        "canary",
        "stable has 0 of 2 pods",
        acknowledged(no_pods_are_wanted),
        before=stuck,
    ),
    Lie("stable is deleted", "canary", "stable has 0 of 2 pods", acknowledged(deleted(stable_set)), before=stuck),
    Lie(
        "an autoscaler wants more while it is proven",
        "canary",
        "stable has 2 of 5 pods",
        acknowledged_then(scaled_up),
        before=stuck,
        patience=15,
    ),
    # A canary: somebody takes the abort away, or something newer comes.
    Lie(
        "a person retries while it is proven",
        "canary",
        TAKEN_BACK,
        once_passed(said_by_status(abort=False)),
        ends="failed",
        patience=15,
    ),
    Lie(
        "a retry comes before the acknowledgement",
        "canary",
        TAKEN_BACK,
        once_seen(said_by_status(abort=None)),
        ends="failed",
        before=stuck,
    ),
    Lie(
        "promoted in full beside the abort",
        "canary",
        "the abort of {cur} was dropped: a full promotion (promoteFull) is under way",
        after(said_by_status(abort=None, promoteFull=True)),
        ends="failed",
        before=stuck,
    ),
    Lie(
        "promoted in the same moment",
        "canary",
        "{cur} became stable meanwhile",
        after(promoted),
        ends="failed",
        before=stuck,
    ),
    Lie("a hotfix while it is proven", "canary", RELEASED, once_passed(released("v3")), patience=15),
    Lie(
        "a hotfix that the controller does not take over",
        "canary",
        "a newer version stands in spec and the controller sleeps",
        acknowledged_then(released("v3")),
        before=stuck,
        patience=15,
    ),
    Lie(
        "deleted and made anew",
        "canary",
        "was deleted and made anew meanwhile",
        acknowledged_then(made_anew),
        before=stuck,
        patience=15,
    ),
    Lie(
        "deleted",
        "canary",
        "is gone or cannot be read: deleted meanwhile",
        acknowledged_then(deleted(lambda place: place.path)),
        before=stuck,
        patience=15,
    ),
    # Blue-green: an abort.
    Lie("blue-green: a worker of the controller hangs", "b", "Service web-active still selects {cur}", before=stuck),
    Lie(
        "blue-green: the Service is put back each time",
        "b",
        "Service web-active still selects {cur}",
        service_put_back_each_time,
        before=stuck,
    ),
    Lie(
        "blue-green: the Service selects no version",
        "b",
        "Service web-active selects no version, not {sta}",
        acknowledged(pointed("web-active", "")),
        before=stuck,
    ),
    Lie(
        "blue-green: the Service is deleted",
        "b",
        "Service web-active cannot be read",
        acknowledged(deleted(lambda place: f"{place.core}/services/web-active")),
        before=stuck,
    ),
    Lie(
        "blue-green: a slice still names an old pod",
        "b",
        "1 endpoints behind Service web-active are no pods of {sta}",
        switched(another_slice),
        before=stuck,
    ),
    Lie(
        "blue-green: nobody behind the Service is ready",
        "b",
        "0 of 2 endpoints behind Service web-active are ready",
        switched(no_pod_is_ready),
        before=stuck,
    ),
    Lie(
        "blue-green: promoted in the same moment",
        "b",
        "{cur} was promoted meanwhile",
        after(said_by_status(abort=None, stableRS="{cur}")),
        ends="failed",
        before=stuck,
    ),
    Lie(
        "blue-green: a person retries while it is proven",
        "b",
        TAKEN_BACK,
        switched_then(said_by_status(abort=False, abortedAt=None)),
        ends="failed",
        before=stuck,
        patience=15,
    ),
    Lie("blue-green: a hotfix in the preview", "a", RELEASED, once_passed(released("v3")), patience=15),
    # Blue-green: an undo.
    # Put into spec, or released already: both are true of it, one after the other.
    Lie("undo: a webhook changes the template", "c", " meanwhile", changed_on_the_way, before=stuck),
    Lie(
        "undo: the same template is a new version",
        "c",
        "the template of {sta} became a new version, dead",
        came_back_as("deadbeef01"),
        before=stuck,
    ),
    Lie(
        "undo: GitOps applies the bad version again",
        "c",
        "the template of {cur} stands in spec",
        after(released("v2")),
        before=stuck,
    ),
    Lie("undo: the controller never takes it over", "c", "current is {cur}, not (yet) {sta}", before=stuck),
    Lie(
        "undo: stable stays on the bad version", "c", "stable is {cur}, not (yet) {sta}", came_back_as(""), before=stuck
    ),
    Lie(
        "undo: somebody aborts the way back",
        "c",
        "the way back to {sta} was aborted, whoever did it",
        came_back_as("", abort=True),
        before=stuck,
    ),
    Lie(
        "undo: the Service stays on the bad version",
        "c",
        "Service web-active selects {cur}, not {sta}",
        stable_again_without_the_service,
        before=stuck,
    ),
    # A flag.
    Lie(
        "flag: answered off and never stored",
        "flag",
        "LaunchDarkly answered that it was turned off, and {name} in production is on in version 2, as before",
        before=answered_off,
    ),
    Lie(
        "flag: answered 200 and waiting for an approval",
        "flag",
        "{name} in production is on, version ",
        before=answered_pending,
    ),
    Lie("flag: on again at once", "flag", ON_AGAIN, after(turned("production", on=True)), ends="failed"),
    Lie(
        "flag: on again while it is proven", "flag", ON_AGAIN, once_passed(turned("production", on=True)), ends="failed"
    ),
    Lie("flag: a scheduled change turns it on again", "flag", ON_AGAIN, after(scheduled), ends="failed"),
    Lie(
        "flag: off in another environment",
        "flag",
        ON_AGAIN,
        after(turned("production", on=True), turned("test", on=False)),
        ends="failed",
    ),
    Lie("flag: archived while it is proven", "flag", "archived", once_passed(archived)),
    Lie(
        "flag: its environment is not shown",
        "flag",
        "project default has no environment production",
        after(shown_without_its_environment),
    ),
    Lie(
        "flag: off again where on is safe",
        "flag",
        "{name} in production was turned off again at ",
        after(turned("production", on=False)),
        ends="failed",
        spec={"safe_state": "on"},
    ),
)
