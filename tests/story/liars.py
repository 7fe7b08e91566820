"""What somebody does to make a 200 a lie: the scripts of the table in `lies.py`, each a function of the place where it is played."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.story.lying import Json, Place

Script = Callable[[Place], None]


def nothing(_place: Place) -> None:
    """Nobody does anything."""


def stuck(place: Place) -> None:
    """The controller's worker hangs in this Rollout: what it is said to have done is written by hand."""
    place.stuck()


def swallow(place: Place) -> None:
    place.stage.town.control("kubernetes", {"swallow_next": f"{place.name}/web"})


def overlooked(place: Place) -> None:
    """Each write of ours is stored and stays unseen."""
    seen = 0
    while not place.judged.wait(0.02):
        if len(place.patches) > seen:
            seen = len(place.patches)
            swallow(place)


def held(place: Place) -> None:
    place.stage.town.control("kubernetes", {"hold_status": {"object": f"{place.name}/web", "seconds": 3600}})


def a_pod_is_missing(place: Place) -> None:
    place.stage.unready(place.name, place.sta, 1)


def acknowledged(*scripts: Script, canary: int = 0, **more: object) -> Script:
    """After our 200 somebody does this, and then status says what the controller would write of an abort."""

    def play(place: Place) -> None:
        place.until_written()
        if place.shape == "canary":
            place.routes(0)
        for script in scripts:
            script(place)
        place.acknowledged(canary, **more)

    return play


def after(*scripts: Script) -> Script:
    """As soon as our write has its 200."""

    def play(place: Place) -> None:
        place.until_written()
        for script in scripts:
            script(place)

    return play


def once_seen(*scripts: Script) -> Script:
    """A look has found our abort there, and no acknowledgement yet."""

    def play(place: Place) -> None:
        place.until_looked()
        for script in scripts:
            script(place)

    return play


def once_passed(*scripts: Script) -> Script:
    """All is well at the first look; what is done then, the second one must see."""

    def play(place: Place) -> None:
        place.until_passed()
        for script in scripts:
            script(place)

    return play


def acknowledged_then(*scripts: Script) -> Script:
    """Acknowledged as it should be, until a first look has found it so."""

    def play(place: Place) -> None:
        acknowledged()(place)
        once_passed(*scripts)(place)

    return play


def routed(*routes: Json) -> Script:
    def play(place: Place) -> None:
        place.merge(place.router_path, {"spec": {"http": list(routes)}})

    return play


def weighed(canary: int) -> Script:
    def play(place: Place) -> None:
        place.routes(canary)

    return play


def pointed(service: str, whose: str) -> Script:
    """A Service turned to 'cur', 'sta', or to no version at all."""

    def play(place: Place) -> None:
        place.service(service, getattr(place, whose) if whose else None)

    return play


def deleted(path: Callable[[Place], str]) -> Script:
    def play(place: Place) -> None:
        place.ask("DELETE", path(place))

    return play


def said_by_status(**fields: object) -> Script:
    def play(place: Place) -> None:
        place.status(**{name: place.cur if value == "{cur}" else value for name, value in fields.items()})

    return play


def released(version: str) -> Script:
    def play(place: Place) -> None:
        place.release(version)

    return play


def stable_set(place: Place) -> str:
    return f"/apis/apps/v1/namespaces/{place.name}/replicasets/web-{place.sta}"


def no_pods_are_wanted(place: Place) -> None:
    place.merge(stable_set(place), {"spec": {"replicas": 0}})


def scaled_up(place: Place) -> None:
    place.merge(place.path, {"spec": {"replicas": 5}})


def service_put_back_each_time(place: Place) -> None:
    """Our Service write is answered 200, and a GitOps tool takes it back."""
    acknowledged()(place)
    while not place.judged.wait(0.1):
        if place.selects("web-active") != place.cur:
            place.service("web-active", place.cur)


def promoted(place: Place) -> None:
    place.routes(100)
    place.status(abort=None, stableRS=place.cur, phase="Healthy", canary=place.weights(100))


def status_takes_the_canary_for_stable(place: Place) -> None:
    acknowledged()(place)
    weights = place.weights(0)
    weights["weights"]["stable"]["podTemplateHash"] = place.cur
    place.status(canary=weights)


def made_anew(place: Place) -> None:
    old = place.rollout
    place.ask("DELETE", place.path)
    place.ask("POST", place.path.rpartition("/")[0], {"metadata": {"name": "web"}, "spec": old["spec"]})


def not_stored(place: Place) -> None:
    """The answer shows an abort; the object never gets it."""
    shown = place.rollout
    shown["status"]["abort"] = True
    place.fault("PATCH", f"/kubernetes{place.path}/status", shown)


def switched(*scripts: Script) -> Script:
    """A blue-green abort as it should be: acknowledged, the active Service on the good version. And then this."""
    return acknowledged(pointed("web-active", "sta"), *scripts)


def switched_then(*scripts: Script) -> Script:
    """The same, until a first look has found it so."""

    def play(place: Place) -> None:
        switched()(place)
        once_passed(*scripts)(place)

    return play


def another_slice(place: Place) -> None:
    """Somebody's own slice goes on naming a pod of the bad version."""
    labels = {"kubernetes.io/service-name": "web-active"}
    metadata = {"name": "web-active-by-hand", "labels": labels}
    endpoint = {"addresses": ["10.99.0.9"], "conditions": {"ready": True}}
    body = {"metadata": metadata, "addressType": "IPv4", "endpoints": [endpoint], "ports": [{"port": 80}]}
    place.ask("POST", f"/apis/discovery.k8s.io/v1/namespaces/{place.name}/endpointslices", body)


def no_pod_is_ready(place: Place) -> None:
    place.stage.unready(place.name, place.sta, 2)


def changed_on_the_way(place: Place) -> None:
    """An admission webhook changes each template that is written, so the controller makes a third version of it."""
    place.until_written()
    place.release("v1-signed")
    place.stage.stuck(place.name, free=True)


def came_back_as(pod_hash: str, **fields: object) -> Script:
    """The old template stands in spec, and the controller has made this version of it."""

    def play(place: Place) -> None:
        place.until_written()
        place.taken_over()
        place.status(currentPodHash=pod_hash or place.sta, **fields)

    return play


def stable_again_without_the_service(place: Place) -> None:
    came_back_as("")(place)
    place.status(stableRS=place.sta)


# ---- a flag ----


def answered_off(place: Place) -> None:
    """LaunchDarkly answers 200 and shows the flag off in its next version; nothing was stored."""
    shown = place.flag()
    here = shown["environments"]["production"]
    here |= {"on": False, "version": here["version"] + 1}
    place.fault("PATCH", f"/launchdarkly/api/v2/flags/default/{place.name}", shown)


def answered_pending(place: Place) -> None:
    """LaunchDarkly answers 200 and shows the flag as it is: the change waits for an approval."""
    place.fault("PATCH", f"/launchdarkly/api/v2/flags/default/{place.name}", place.flag())


def turned(environment: str, *, on: bool) -> Script:
    def play(place: Place) -> None:
        place.turn(environment, on=on)

    return play


def scheduled(place: Place) -> None:
    """A change that is due in a moment turns it on again."""
    path = f"/projects/default/flags/{place.name}/environments/production/scheduled-changes"
    due = datetime.now(UTC) + timedelta(seconds=1)
    instructions = [{"kind": "turnFlagOn"}]
    place.stage.flags("POST", path, {"executionDate": int(due.timestamp() * 1000), "instructions": instructions})


def archived(place: Place) -> None:
    body = {"environmentKey": "production", "instructions": [{"kind": "archiveFlag"}]}
    place.stage.flags("PATCH", f"/flags/default/{place.name}", body)


def shown_without_its_environment(place: Place) -> None:
    shown = place.flag()
    del shown["environments"]["production"]
    place.fault("GET", f"/launchdarkly/api/v2/flags/default/{place.name}", shown)
    place.turn("production", on=True)
