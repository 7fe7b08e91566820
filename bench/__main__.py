"""What is measured, on one page.

Method. Sandbox, server, load and (where given) PostgreSQL share this machine. The server is `serve` as anybody starts it. *Burst*:
distinct signed events of 1.2 KB over 32 kept-alive connections, closed loop, from a process of its own; 95 % are of a type that no
runbook starts on, 5 % name an incident of their own and become runs (mode observe: everything but the write). Each round has a
fresh database and fresh processes, and 20 events to warm up. Rate = 202s / wall time; the bare view beside it runs in the same
gunicorn. *One at a time*: from right before the send until the sandbox has read the first request about that incident, or the
first that changes a rollout (clock of one machine, microseconds). "Lost" counts answers 202 without their row after kill -9 of the
server right after the last answer.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from bench import cluster, runbooks
from bench.load import blast
from bench.page import cores, line, say
from bench.processes import free_port, started, wait_ready, weigh
from bench.scene import ACTED, Scene, files, sandbox, webhook
from server import db
from server.store.tables import deliveries

QUIET = "incident.acknowledged"  # no shipped runbook starts on it
SAMPLE_WAIT = 20.0


@dataclass
class Bench:
    """What all parts share."""

    folder: Path
    scene: Scene
    runbooks: Path
    postgresql: str | None

    @contextmanager
    def server(self) -> Iterator[Served]:
        """`serve` on a fresh database."""
        with self._database() as url, started(["-m", "server", "serve"], self._env(url), self.log) as process:
            seconds = wait_ready(f"http://127.0.0.1:{self.port}/readyz", process, self.log)
            yield Served(self.port, process.pid, url, seconds)

    @property
    def log(self) -> Path:
        """What the processes say."""
        return self.folder / "server.log"

    @contextmanager
    def _database(self) -> Iterator[str]:
        self.port = free_port()
        name = f"bench_{uuid4().hex[:10]}"
        if self.postgresql is None:
            yield f"sqlite:///{self.folder / name}.db"
            return
        admin = sa.create_engine(self.postgresql, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        try:
            yield sa.make_url(self.postgresql).set(database=name).render_as_string(hide_password=False)
        finally:
            with admin.connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")

    def _env(self, url: str) -> dict[str, str]:
        own = {
            "DATABASE_URL": url,
            "LISTEN": f"127.0.0.1:{self.port}",
            "RUNBOOKS": str(self.runbooks),
            "SECRET_KEY": "b" * 32,
        }
        return {**self.scene.settings, **{f"RIPCORD_{name}": value for name, value in own.items()}}

    @property
    def secret(self) -> str:
        """What the sandbox signs with."""
        return self.scene.settings["RIPCORD_PAGERDUTY_WEBHOOK_SECRETS"].split(",")[0]


@dataclass(frozen=True)
class Served:
    """One server."""

    port: int
    pid: int
    url: str
    ready: float


@dataclass(frozen=True)
class Burst:
    """What one burst gave."""

    rate: float
    replies: list[float]
    first_requests: list[float]
    lost: int
    answers: dict[int, int]


def main(arguments: list[str]) -> int:
    """Prints the page."""
    parser = argparse.ArgumentParser(prog="ripcord bench", description="What is measured, on one page.")
    parser.add_argument("--events", type=int, default=2000, help="in one burst")
    parser.add_argument(
        "--rounds",
        type=int,
        help="bursts, each with a fresh database (3); with --cluster: aborts (50); with --runbooks: of each story (3)",
    )
    parser.add_argument("--samples", type=int, default=100, help="events one at a time")
    parser.add_argument("--acts", type=int, default=12, help="rollouts aborted one at a time")
    parser.add_argument("--postgresql", metavar="URL", help="a server where databases may be made; default: SQLite")
    parser.add_argument("--cluster", action="store_true", help="instead: aborts on the real control plane (needs Go)")
    parser.add_argument("--runbooks", action="store_true", help="instead: each shipped runbook, hop by hop")
    given = parser.parse_args(arguments)
    if given.runbooks:
        return runbooks.main(3 if given.rounds is None else given.rounds)
    if given.cluster:
        return cluster.main(50 if given.rounds is None else given.rounds)
    given.rounds = 3 if given.rounds is None else given.rounds
    with tempfile.TemporaryDirectory(prefix="ripcord-bench-") as name:
        measure(Path(name), given)
    return 0


def measure(folder: Path, given: argparse.Namespace) -> None:
    """All parts, one after the other."""
    say(f"Ripcord bench: {'PostgreSQL' if given.postgresql else 'SQLite'}, all in one process, {cores()} cores\n")
    rollouts = [f"bench-{n:02d}" for n in range(given.acts)]
    with sandbox(folder) as scene:
        bench = Bench(folder, scene, files(folder / "runbooks", rollouts), given.postgresql)
        bare = bare_rate(bench, given.events)
        bursts = [one_burst(bench, given.events, n) for n in range(given.rounds)]
        report_bursts(bursts, bare)
        one_at_a_time(bench, given.samples, rollouts)


def bare_rate(bench: Bench, events: int) -> tuple[float, list[float]]:
    """The same burst at a view that does nothing."""
    port = free_port()
    options = ["-k", "gthread", "-w", "1", "--threads", "16", "--keep-alive", "5", "--worker-tmp-dir", "/dev/shm"]  # noqa: S108
    argv = ["-m", "gunicorn", *options, "--no-control-socket", "-b", f"127.0.0.1:{port}", "bench.bare:app"]
    with started(argv, {}, bench.log) as process:
        wait_ready(f"http://127.0.0.1:{port}/readyz", process, bench.log)
        requests = [webhook(bench.secret, QUIET, "QNONE") for _ in range(events)]
        blast(port, 32, requests[:20])
        answers, seconds = blast(port, 32, requests)
    return len(answers) / seconds, [one.seconds for one in answers]


def one_burst(bench: Bench, events: int, number: int) -> Burst:
    """One burst on a fresh server."""
    names = [f"burst {number} {n} {uuid4().hex[:6]}" for n in range(max(events // 20, 1))]
    for name in names:
        bench.scene.incident(name, "web-frontend")
    ids = bench.scene.incidents()
    with bench.server() as server:
        blast(server.port, 4, [webhook(bench.secret, QUIET, "QWARM") for _ in range(20)])
        starting = {n * 20: ids[name] for n, name in enumerate(names)}
        plan = [(n, starting.get(n)) for n in range(events)]
        requests = [webhook(bench.secret, "incident.triggered" if one else QUIET, one or "QNONE") for _n, one in plan]
        seen = len(bench.scene.log())
        answers, seconds = blast(server.port, 32, requests)
        kept = sum(one.status == 202 for one in answers)
        firsts = first_requests(bench.scene, {one: answers[n].sent_at for n, one in plan if one}, seen)
        lost = kept - stored(server) + 20
    codes = {code: sum(one.status == code for one in answers) for code in {one.status for one in answers}}
    return Burst(kept / seconds, [one.seconds for one in answers], firsts, lost, codes)


def stored(server: Served) -> int:
    """Rows after kill -9."""
    os.killpg(server.pid, signal.SIGKILL)
    engine = db.reading(server.url)
    try:
        with engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(deliveries)).scalar_one())
    finally:
        engine.dispose()


def first_requests(scene: Scene, sent: dict[str, float], seen: int, within: float = 60.0) -> list[float]:
    """Seconds from sending the event until the first request about its incident."""
    found: dict[str, float] = {}
    ends = time.monotonic() + within
    while len(found) < len(sent) and time.monotonic() < ends:
        for row in scene.log(seen):
            seen = row["seq"]
            incident = row["path"].removeprefix("/pagerduty/incidents/").split("/")[0]
            if incident in sent:
                found.setdefault(incident, _at(row) - sent[incident])
        time.sleep(0.05)
    return list(found.values())


def one_at_a_time(bench: Bench, samples: int, rollouts: list[str]) -> None:
    """An idle server, one event after the other."""
    for name in rollouts:
        bench.scene.canary(name)
    bench.scene.until(rollouts, "stable")
    for name in rollouts:
        bench.scene.release(name)
    names = [f"idle {n} {uuid4().hex[:6]}" for n in range(samples)]
    for name in names:
        bench.scene.incident(name, "web-frontend")
    bench.scene.until(rollouts, "canary")
    time.sleep(2)  # an alert of the same second as the release counts as older, and would be refused
    for name in rollouts:
        bench.scene.incident(f"act {name}", name, ACTED)
    ids = bench.scene.incidents()
    with bench.server() as server:
        say(f"start to ready                         {server.ready:.2f} s (first start, with migrations)")
        firsts = [sample(bench, server, ids[name], _first) for name in names]
        acts = [sample(bench, server, ids[f"act {name}"], _changes(name)) for name in rollouts]
        line("event to first upstream request", firsts)
        line("event to first mutating request", acts)
        weights = ", ".join(f"{name} {weight:.0f} MB" for name, weight in weigh(server.pid))
        say(f"memory (PSS, after load)               {weights}")
        engine = db.writing(server.url)
        say("in force                               " + ", ".join(f"{k}={v}" for k, v in db.pragmas(engine).items()))
        engine.dispose()


def sample(bench: Bench, server: Served, incident: str, wanted: Any) -> float | None:
    """One event, answered; seconds until the wanted request, or None."""
    seen = len(bench.scene.log())
    answers, _seconds = blast(server.port, 1, [webhook(bench.secret, "incident.triggered", incident)])
    ends = time.monotonic() + SAMPLE_WAIT
    while time.monotonic() < ends:
        for row in bench.scene.log(seen):
            if wanted(row, incident):
                return _at(row) - answers[0].sent_at
        time.sleep(0.05)
    return None


def _first(row: dict[str, Any], incident: str) -> bool:
    return str(row["path"]).startswith(f"/pagerduty/incidents/{incident}")


def _changes(name: str) -> Any:
    return lambda row, _incident: row["method"] == "PATCH" and f"/rollouts/{name}" in row["path"]


def _at(row: dict[str, Any]) -> float:
    return datetime.fromisoformat(row["at"].replace("Z", "+00:00")).timestamp()


def report_bursts(bursts: Sequence[Burst], bare: tuple[float, list[float]]) -> None:
    """The bursts, their median first."""
    rates = sorted(one.rate for one in bursts)
    middle = min(bursts, key=lambda one: abs(one.rate - statistics.median(rates)))
    say(f"accepted, burst, 32 connections        {statistics.median(rates):.0f}/s [{rates[0]:.0f} … {rates[-1]:.0f}]")
    say(f"a bare Flask view in the same gunicorn {bare[0]:.0f}/s")
    line("reply", middle.replies)
    line("reply of the bare view", bare[1])
    line("burst: event to first upstream request", middle.first_requests)
    say(f"answers                                {middle.answers}, lost after kill -9: {[one.lost for one in bursts]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
