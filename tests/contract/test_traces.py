"""The sandbox's controller goes through the states of the recorded one, in their order.

Where it is coarser than the recording, the story says so in `coarser`: each entry is one of the five functions below.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.contract.cluster_by_hand import Cluster, rollout
from tests.contract.trace_player import COUNTS, Story, difference_of, records, replay

ROLLOUT = "production/web-frontend"
ONLY_V1 = {"8f868cc74": "v1"}
BASIC: dict[str, Any] = {
    "replicas": 2,
    "steps": [{"setWeight": 0}, {"pause": {}}],
    "trafficRouting": None,
    "canaryService": None,
    "stableService": None,
}
DYNAMIC: dict[str, Any] = {
    "dynamicStableScale": True,
    "steps": [{"setWeight": 25}, {"setWeight": 50}, {"setWeight": 75}, {"pause": {}}],
}
QUERY = (
    'sum(rate(http_requests_total{service="web-frontend-canary",code=~"5.."}[1m]))'
    ' / sum(rate(http_requests_total{service="web-frontend-canary"}[1m]))'
)

# ---- where the sandbox is coarser than life ----


def counts_alone_left_out(lines: list[str]) -> list[str]:
    """The recording's title says that writes which only change counts are left out of it."""
    return [line for line in lines if not _only(line, "rollout", {*COUNTS})]


def pods_left_out(lines: list[str]) -> list[str]:
    """Pods of one ReplicaSet become ready together here, one by one in life; some recordings leave them out."""
    return [line for line in lines if not _only(line, "replicaset", {"replicas", "available"})]


def ways_of_counts_left_out(lines: list[str]) -> list[str]:
    """Where pods become ready one by one the sums, and Available with them, take another way to the same end."""
    kept = []
    for line in lines:
        kind, name, change = line.split(" ", 2)
        if kind == "rollout":
            fields = {
                key: value for key, value in json.loads(change).items() if key not in {*COUNTS} - {"updatedReplicas"}
            }
            fields.get("conditions", {}).pop("Available", None)
            fields = {key: value for key, value in fields.items() if value != {}}
            line = f"{kind} {name} {json.dumps(fields, sort_keys=True)}" if fields else ""
        kept.append(line)
    return [line for line in kept if line]


def deadlines_left_out(lines: list[str]) -> list[str]:
    """The recording shows a deadline's removal and not that it was set."""
    return [line for line in lines if not _only(line, "replicaset", {"deadline"})]


def paused_by_a_stale_cache(lines: list[str]) -> list[str]:
    """At the end of 16 the real controller writes Paused True out of an old picture and takes it back 6 ms later."""
    again = 'rollout web-frontend {"conditions": {"Paused": "False/RolloutPaused"}}'
    told = [
        line.replace(' "Paused": "True/RolloutPaused",', "") if '"Healthy": "True' in line else line for line in lines
    ]
    return told[:-1] if told[-1] == again else told


def _only(line: str, kind: str, fields: set[str]) -> bool:
    which, _name, change = line.split(" ", 2)
    return which == kind and change.startswith("{") and set(json.loads(change)) <= fields


def _set(**settings: object) -> Callable[[Cluster], None]:
    return lambda cluster: cluster.set(**settings)


def _unready(pod_hash: str, pods: int) -> Callable[[Cluster], None]:
    return _set(unready={f"{ROLLOUT}-{pod_hash}": pods})


# ---- the stories ----

STORIES = [
    Story("01"),
    Story(
        "02",
        rollout(abortScaleDownDelaySeconds=5),
        marks={
            "one stable pod becomes unready": _set(stable_missing_pod=ROLLOUT),
            "stable pod ready again": _set(stable_missing_pod=None),
        },
    ),
    Story(
        "03",
        rollout(abortScaleDownDelaySeconds=3, replicaProgressThreshold={"type": "Percent", "value": 75}),
        before=_set(stable_missing_pod=ROLLOUT),
        marks={"7 s later": _set(stable_missing_pod=None)},
    ),
    Story(
        "04",
        rollout(abortScaleDownDelaySeconds=5),
        at={420: _unready("94c8779f5", 3), 700: _unready("94c8779f5", 4), 1100: _unready("94c8779f5", 3)},
        coarser=(pods_left_out,),
    ),
    Story(
        "05",
        rollout(**BASIC),
        {"8f868cc74": "v1", "56965645bc": "v11"},
        at={107: _set(swallow_next=ROLLOUT)},
        slower=20,
        leave_out_kinds=("service",),
    ),
    Story("06", rollout(steps=[{"setWeight": 25}, {"pause": {"duration": "40s"}}], abortScaleDownDelaySeconds=2)),
    Story("07", rollout(abortScaleDownDelaySeconds=5), before=_set(unsaturated=ROLLOUT)),
    Story(
        "08",
        rollout(spec={"rollbackWindow": {"revisions": 3}}, scaleDownDelaySeconds=3),
        before=_unready("8f868cc74", 3),
        marks={"pods released": _unready("8f868cc74", 1)},
        at={6300: _set(unready=None)},
        coarser=(pods_left_out, deadlines_left_out),
    ),
    Story("09"),
    Story(
        "10",
        rollout(replicas=2, trafficRouting=None),
        ONLY_V1,
        before=_unready("8f868cc74", 2),
        at={4100: _unready("8f868cc74", 1), 4240: _set(unready=None)},
        coarser=(pods_left_out,),
    ),
    Story("11", play_until_ms=6400),  # the recording ends before anything flips
    Story("12", rollout(abortScaleDownDelaySeconds=3)),
    Story(
        "14",
        rollout(steps=[{"setWeight": 50}, {"pause": {}}], trafficRouting=None),
        coarser=(pods_left_out, ways_of_counts_left_out),
    ),
    Story(
        "15",
        rollout(steps=[{"setWeight": 50}, {"pause": {}}], trafficRouting=None, canaryService=None, stableService=None),
        coarser=(pods_left_out, ways_of_counts_left_out),
        leave_out_kinds=("service",),
    ),
    Story(
        "16",
        rollout(abortScaleDownDelaySeconds=2),
        coarser=(counts_alone_left_out, paused_by_a_stale_cache),
    ),
    Story("17", leave_out_kinds=("service",)),  # one more flip there, out of a pass that had begun before the patch
    Story(
        "18",
        rollout(spec={"progressDeadlineSeconds": 4}),
        ONLY_V1,
        at={250: _set(unsaturated=ROLLOUT)},
        marks={"pod ready": _set(unsaturated=None)},
    ),
    Story(
        "19",
        rollout(spec={"progressDeadlineSeconds": 4, "progressDeadlineAbort": True}, abortScaleDownDelaySeconds=3),
        ONLY_V1,
        at={650: _set(unsaturated=ROLLOUT)},
        play_until_ms=6500,  # the recording leaves the scale-down out
    ),
    Story("21", rollout(replicas=2, abortScaleDownDelaySeconds=2, analysis={"templates": []})),
    Story("26", rollout(**DYNAMIC), coarser=(pods_left_out,)),
    Story("27", rollout(**DYNAMIC, abortScaleDownDelaySeconds=5), coarser=(pods_left_out,)),
    Story("30", rollout(abortScaleDownDelaySeconds=0), coarser=(pods_left_out, counts_alone_left_out)),
    Story(
        "v110-canary-abort-in-the-pause-window",
        rollout(**BASIC),
        {"8f868cc74": "v1", "b47c7f5bf": "v4"},
        before=_set(rollouts="v1.10.1", swallow_next=ROLLOUT),
        slower=13,
        leave_out_kinds=("service",),
    ),
    Story(
        "v110-canary-progress-deadline-abort",
        rollout(spec={"progressDeadlineSeconds": 4, "progressDeadlineAbort": True}, abortScaleDownDelaySeconds=3),
        ONLY_V1,
        before=_set(rollouts="v1.10.1"),
        at={250: _set(unsaturated=ROLLOUT)},
    ),
    Story(
        "v110-canary-manual-abort-background-analysis",
        rollout(replicas=2, abortScaleDownDelaySeconds=2, analysis={"templates": []}),
        before=_set(rollouts="v1.10.1"),
    ),
]


def _title(story: Story) -> str:
    return f"{story.trace}: {re.sub(r'[^ -~]', '', records(story.trace)[0]['title'])}"


@pytest.mark.parametrize("story", STORIES, ids=_title)
def test_it_goes_through_the_recorded_states_in_their_order(story: Story) -> None:
    recorded, played = replay(story)

    assert len(recorded) > 1, "the recording shows nothing that could be compared"
    assert recorded == played, f"\n{difference_of(recorded, played)}"


# ---- recordings with somebody who answers the queries ----


class _Prometheus(BaseHTTPRequestHandler):
    answer = (200, "0.12")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, value = self.answer
        sample = {"metric": {}, "value": [1, value]}
        body = {"status": "success", "data": {"resultType": "vector", "result": [sample] if value else []}}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def prometheus() -> Iterator[Callable[[int, str], str]]:
    """Start one that answers so; gives its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, value: str) -> str:
        handler = type("Answering", (_Prometheus,), {"answer": (status, value)})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


MEASURED = [
    ("20", (200, "0.12"), {}),
    ("22", (500, ""), {}),
    ("23", (200, "0.12"), {"failureCondition": "result[0] > 0.2"}),
    ("24", (200, "0.12"), {"count": 20}),
    ("25", (200, ""), {}),
    ("31", (500, ""), {"consecutiveErrorLimit": 1}),
]


@pytest.mark.parametrize(("trace", "answer", "metric"), MEASURED, ids=[one[0] for one in MEASURED])
def test_measurements_and_what_they_do_follow_the_recording(
    trace: str, answer: tuple[int, str], metric: dict[str, object], prometheus: Callable[[int, str], str]
) -> None:
    steps = [{"setWeight": 25}, {"analysis": {"templates": []}}, {"pause": {}}] if trace == "24" else None
    canary = {} if trace == "24" else {"analysis": {"templates": []}}
    spec = rollout(replicas=2, steps=steps, abortScaleDownDelaySeconds=2, **canary)
    story = Story(trace, spec, prometheus=prometheus(*answer), query=QUERY, metric=metric, settle=0)
    story.play_until_ms = 9000 if trace == "25" else story.play_until_ms  # where the recording ends

    recorded, played = replay(story)

    assert len(recorded) > 0
    assert recorded == played, f"\n{difference_of(recorded, played)}"
