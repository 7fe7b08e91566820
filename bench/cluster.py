"""`bench --cluster`: an alert, a canary aborted, a proof; on the real control plane and on the sandbox, alike.

Method. Ripcord is `serve` as anybody starts it, with the shipped runbook abort-canary, SQLite, and (on the real control plane) the
user that has the shipped Roles; PagerDuty is the sandbox in both. Everything shares this machine. A canary has 4 pods and a
VirtualService, is paused at 25 % and has stood there for more than 10 s; rounds follow one another, each waits for the last one's
note. *Alert*: right before the event is sent to PagerDuty. *PATCH*: when the API server received it, by its own audit log
(sandbox: its log). *abortedAt, router, weights*: when the write that shows it was seen, by a watch (sandbox: by looking each 20 ms;
its controllers tick each 200 ms). `abortedAt` itself has whole seconds only. *Proven*: the audit row run_proven. All by one clock.
*Ours* is alert to PATCH, and from the last of those three to proven less the settle time that the runbook asks for: a promise, no
slowness. *The controller's* is PATCH to the last of the three. Parts of a sum do not add up as percentiles. p99 of fewer than 100
is the slowest.

Requests are those about the canary (and the Lease) between alert and proven, to PagerDuty until the note has its last word. *Least*
is what a proof cannot do without. To Kubernetes: the Rollout, its ReplicaSets, the stable Service and the router, and the Rollout
once more (nothing changed meanwhile), twice, the second time after the settle time; before that, to decide, those four and the canary
Service (what could not be proven is not begun); one PATCH. To PagerDuty: incident and alerts to decide, both again right before the
write, the note, its edit. What is above it: looks while it does not stand yet, the look right after the PATCH, and in each look what
only words a reason (the canary Service, the Lease; AnalysisRuns before the proof); and the incident read once more for the last
word: who resolved it meanwhile.
"""

from __future__ import annotations

import json
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
import urllib3

from bench import canary
from bench.page import cores, p99, say
from bench.planes import Asked, Object, Plane, SandboxPlane, moment, real_plane, release
from bench.processes import free_port, started, wait_ready
from bench.scene import Scene, sandbox
from server import db
from server.audit.tables import audit
from server.core.run import RunSpec
from server.store.tables import runs

BATCH = 10
PATIENCE = 90.0
LEAST = {
    "get rollouts": 5,
    "list replicasets": 3,
    "get services": 4,
    "get virtualservices": 3,
    "patch rollouts/status": 1,
    "get incidents": 2,
    "get incidents/alerts": 2,
    "post incidents/notes": 1,
    "put incidents/notes": 1,
}
"""Requests that the proof cannot do without."""


@dataclass
class Round:
    """One canary's story. All times are seconds since 1970."""

    namespace: str
    alert: float
    seen: dict[str, float] = field(default_factory=dict)
    rows: list[Object] = field(default_factory=list)
    settle: float = 0.0
    state: str = "not over"
    said: str = ""
    asked: list[Asked] = field(default_factory=list)

    def row(self, tag: str) -> float:
        """When the first row of this kind was written."""
        return next(moment(one["at"]) for one in self.rows if one["tag"] == tag)

    @property
    def received(self) -> float:
        """When the door had it."""
        row = next(one for one in self.rows if one["tag"] == "delivery_received")
        return moment(json.loads(row["evidence"])["received_at"])

    @property
    def patch(self) -> float:
        """When the API server had the abort."""
        return next(one.at for one in self.asked if one.verb == "patch")

    @property
    def stands(self) -> float:
        """When all that the proof asks of the controller was there."""
        return max(self.seen[one] for one in ("aborted", "routed", "counted"))

    @property
    def after(self) -> float:
        """From there to proven, less the settle time."""
        return self.row("run_proven") - self.stands - self.settle

    @property
    def told(self) -> float:
        """When the note had its last word."""
        return max(moment(one["at"]) for one in self.rows)

    @property
    def whole(self) -> bool:
        """Whether there is something to measure."""
        return self.state == "proven" and len(self.seen) == 3 and any(one.verb == "patch" for one in self.asked)


LINES: tuple[tuple[str, Callable[[Round], float]], ...] = (
    ("alert to proven", lambda one: one.row("run_proven") - one.alert),
    ("alert to the note's last word", lambda one: one.told - one.alert),
    ("alert to proven, less the settle time", lambda one: one.row("run_proven") - one.alert - one.settle),
    ("the controller's: PATCH to abortedAt", lambda one: one.seen["aborted"] - one.patch),
    ("  PATCH to router at 0 %", lambda one: one.seen["routed"] - one.patch),
    ("  PATCH to weights in status at 0 %", lambda one: one.seen["counted"] - one.patch),
    ("  PATCH to the last of these", lambda one: one.stands - one.patch),
    ("PATCH to proven, less the settle time", lambda one: one.row("run_proven") - one.patch - one.settle),
    ("ours: both parts together", lambda one: one.patch - one.alert + one.after),
    ("  alert to PATCH", lambda one: one.patch - one.alert),
    ("    alert to stored at our door", lambda one: one.received - one.alert),
    ("    to its decision", lambda one: one.row("decided") - one.received),
    ("    to its plan", lambda one: one.row("step_planned") - one.row("decided")),
    ("    to its intent", lambda one: one.row("step_intended") - one.row("step_planned")),
    ("    to the API server", lambda one: one.patch - one.row("step_intended")),
    ("  it stands to proven, less settle", lambda one: one.after),
    ("    it stands to the first look's row", lambda one: one.row("check_passed") - one.stands),
)


def main(rounds: int) -> int:
    """Prints the page."""
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(143))  # what was started ends with us
    names = [f"bench-{n:03d}" for n in range(rounds)]
    with tempfile.TemporaryDirectory(prefix="ripcord-bench-") as name:
        folder = Path(name)
        say(f"Ripcord bench --cluster: rollouts-controller {release()}, {rounds} rounds in each world, {cores()} cores")
        real = _on_the_real_one(folder / "real", names)
        played = _on_the_sandbox(folder / "sandbox", names)
    report([("real control plane", real), ("sandbox", played)])
    say()
    say((__doc__ or "").partition("\n\n")[2].strip())
    return 0 if all(one.whole for one in [*real, *played]) else 1


def _on_the_real_one(folder: Path, names: list[str]) -> list[Round]:
    folder.mkdir()
    with real_plane(folder) as (plane, kubeconfig), _town(folder, names, {"RIPCORD_KUBECONFIG": kubeconfig}) as town:
        return town.play(plane, names)


def _on_the_sandbox(folder: Path, names: list[str]) -> list[Round]:
    folder.mkdir()
    with _town(folder, names, {}) as town:
        town.scene.ask("POST", "/_sandbox/kubernetes", {"rollouts": release()})
        return town.play(SandboxPlane(town.scene), names)


@contextmanager
def _town(folder: Path, names: list[str], more: Mapping[str, str]) -> Iterator[Town]:
    """PagerDuty and Ripcord."""
    port, url, log = free_port(), f"sqlite:///{folder / 'ripcord.db'}", folder / "server.log"
    with sandbox(folder, f"http://127.0.0.1:{port}/webhooks/pagerduty") as scene:
        own = {
            "RIPCORD_DATABASE_URL": url,
            "RIPCORD_LISTEN": f"127.0.0.1:{port}",
            "RIPCORD_RUNBOOKS": str(canary.catalog(folder / "runbooks", names)),
            "RIPCORD_SECRET_KEY": "b" * 32,
        }
        with started(["-m", "server", "serve"], {**scene.settings, **own, **more}, log) as process:
            wait_ready(f"http://127.0.0.1:{port}/readyz", process, log)
            yield Town(scene, url)


@dataclass
class Town:
    """PagerDuty as people use it, and Ripcord's own books."""

    scene: Scene
    url: str

    def play(self, plane: Plane, names: list[str]) -> list[Round]:
        """One canary after the other, made in batches."""
        found: list[Round] = []
        for at in range(0, len(names), BATCH):
            batch = names[at : at + BATCH]
            print(f"ripcord bench: {plane.name}: {at} of {len(names)}", file=sys.stderr, flush=True)
            canary.prepare(plane, batch)
            found += [self.round(plane, one) for one in batch]
            canary.leave(plane, batch)
        self._sort_requests(found, [*plane.asked(), *self._asked()])
        return found

    def round(self, plane: Plane, name: str) -> Round:
        """From the alert to the note's last word."""
        seen: dict[str, float] = {}
        wanted = [
            (canary.rollouts(name), {"aborted": canary.aborted, "counted": canary.counted}),
            (canary.routers(name), {"routed": canary.routed}),
        ]
        for path, holds in wanted:
            states = plane.states(path, canary.NAME)
            threading.Thread(target=_follow, args=(states, holds, seen), daemon=True).start()
        time.sleep(0.3)  # the watches stand
        one = Round(name, time.time(), seen)
        details = {"deployment_type": "canary", "rollout": canary.NAME, "namespace": name}
        payload = {"summary": f"{name} fails", "source": "bench", "severity": "critical", "custom_details": details}
        event = {"routing_key": "c" * 32, "event_action": "trigger", "dedup_key": name, "payload": payload}
        self.scene.ask("POST", "/pagerduty/v2/enqueue", event)
        self._until_told(one)
        return one

    def _until_told(self, one: Round) -> None:
        ends = time.monotonic() + PATIENCE
        engine = db.reading(self.url)
        try:
            while time.monotonic() < ends and not _over(one):
                time.sleep(0.1)
                _read(engine, one)
        finally:
            engine.dispose()

    def _asked(self) -> list[Asked]:
        """What was asked of PagerDuty's REST API, in the same words."""
        rows = [one for one in self.scene.log() if one["path"].startswith("/pagerduty/incidents/")]
        return [Asked(moment(one["at"]), one["method"].lower(), one["path"]) for one in rows]

    @staticmethod
    def _sort_requests(rounds: list[Round], asked: list[Asked]) -> None:
        for one in rounds:
            if one.state != "proven":
                continue
            ends = {True: one.told, False: one.row("run_proven")}
            mine = ("/pagerduty/", f"/namespaces/{one.namespace}/", "/leases/")
            one.asked = [
                each
                for each in asked
                if any(part in each.path for part in mine)
                and one.alert <= each.at <= ends[each.path.startswith("/pagerduty/")]
            ]


def _follow(
    states: Iterator[tuple[float, Object]], holds: Mapping[str, Callable[[Object], bool]], seen: dict[str, float]
) -> None:
    """Writes down when each first held; ends with the last of them, or with its server."""
    with suppress(urllib3.exceptions.HTTPError):
        for at, state in states:
            seen.update({name: at for name, held in holds.items() if name not in seen and held(state)})
            if all(name in seen for name in holds):
                return


def _read(engine: sa.Engine, one: Round) -> None:
    """The round's audit rows, those of its delivery among them."""
    with engine.connect() as connection:
        run = connection.execute(sa.select(runs).where(runs.c.target == one.namespace)).mappings().first()
        if run is None:
            return
        spec = RunSpec.model_validate_json(run["spec"])
        query = sa.select(audit).where(audit.c.delivery == spec.delivery).order_by(audit.c.seq)
        one.rows = [dict(row) for row in connection.execute(query).mappings()]
    one.state, one.said = str(run["state"]), str(run["said"])
    one.settle = sum(check.settle for check in spec.verify)


def _over(one: Round) -> bool:
    """Told: the note's first line is the run's last word."""
    words = ("PROVEN", "did nothing")
    return any(row["tag"] == "told" and any(word in row["said"] for word in words) for row in one.rows)


# ---- the page ----


def report(worlds: list[tuple[str, list[Round]]]) -> None:
    """Both worlds beside each other."""
    say()
    say(_columns("", [name for name, _ in worlds]))
    say(_columns("proven", [_proven(rounds) for _, rounds in worlds]))
    for name, rounds in worlds:
        for one in [each for each in rounds if not each.whole]:
            say(f"  {name}, {one.namespace}: {one.state}: {one.said}")
    settles = [", ".join(f"{one:g} s" for one in sorted({each.settle for each in rounds})) for _, rounds in worlds]
    say(_columns("settle time that the runbook asks for", settles))
    for what, measure in LINES:
        say(_columns(what, [_figures([measure(one) for one in rounds if one.whole]) for _, rounds in worlds]))
    say()
    say(_columns("requests for each run", ["p50, most"] * len(worlds), "least"))
    counts = [[Counter(_words(each) for each in one.asked) for one in rounds if one.whole] for _, rounds in worlds]
    for what in [*LEAST, *sorted({each for world in counts for one in world for each in one} - set(LEAST))]:
        say(_columns(f"  {what}", [_many([one[what] for one in world]) for world in counts], str(LEAST.get(what, 0))))
    totals = [_many([sum(one.values()) for one in world]) for world in counts]
    say(_columns("together", totals, str(sum(LEAST.values()))))
    say(_columns("looks among them", [_many([one["list replicasets"] for one in world]) for world in counts], "3"))


def _columns(what: str, cells: list[str], least: str = "") -> str:
    return (f"{what:<39}{least:<7}" + "".join(f"{one:<32}" for one in cells)).rstrip()


def _proven(rounds: list[Round]) -> str:
    proven = sum(one.state == "proven" for one in rounds)
    others = Counter(one.state for one in rounds if one.state != "proven")
    return f"{proven} of {len(rounds)}" + "".join(f", {count} {state}" for state, count in others.items())


def _figures(seconds: list[float]) -> str:
    if not seconds:
        return "nothing was seen"
    return f"p50 {statistics.median(seconds):.3f} s, p99 {p99(seconds):.3f} s"


def _many(counts: list[int]) -> str:
    return f"{statistics.median(counts):g}, {max(counts)}" if counts else "nothing was seen"


def _words(asked: Asked) -> str:
    """'get rollouts', or 'get incidents/alerts'."""
    if not asked.path.startswith("/pagerduty/"):
        return asked.what
    kind, _, rest = asked.path.removeprefix("/pagerduty/").partition("/")
    below = rest.split("/")[1:2]
    return f"{asked.verb} {'/'.join([kind, *below])}"
