"""An API server with one namespace and nobody who reconciles: the sandbox without its scene and without its ticker."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.start import start
from tests.cluster import parts
from tests.cluster.start import ControlPlane
from tests.contract.rounds import Rounds, Say, version
from tests.contract.scenario import Canary
from tests.contract.wire import ROLLOUTS, Cluster, rollout
from tests.contract.worlds import ClusterWorld, SandboxWorld, World
from tests.support.said import say


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    sandbox = start(scene=False, ticking=False, seed=11)
    one = Cluster(sandbox)
    assert one.post("/api/v1/namespaces", {"metadata": {"name": "wire"}}).code == 201
    yield one
    sandbox.end()


@pytest.fixture
def web(cluster: Cluster) -> str:
    """The path of a Rollout that has a status."""
    assert cluster.post(ROLLOUTS, rollout()).code == 201
    status = {"status": {"currentPodHash": "aaa", "phase": "Paused"}}
    assert cluster.merge(f"{ROLLOUTS}/web/status", status).code == 200
    return f"{ROLLOUTS}/web"


# ---- scenarios: one body, two worlds ----

# Only this release overlooks writes. Under another there is nothing to ask, so nothing is collected (and nothing skipped).
collect_ignore = [] if parts.chosen_release() == "v1.9.1" else ["test_scenarios_overlooked.py", "test_cluster_woken.py"]

WORLDS = ["sandbox", pytest.param("cluster", marks=pytest.mark.cluster)]


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """The real control plane, once for a session: each start of its controller costs 15 to 20 s."""
    # Where Go is missing this fails: what cannot run is no pass.
    with ControlPlane(parts.get(parts.chosen_release(), _say), _say) as running:
        running.keep_controllers()
        yield running


def _say(line: str) -> None:
    sys.stderr.write(f"cluster: {line}\n")


@pytest.fixture(scope="session")
def sandbox_world() -> Iterator[SandboxWorld]:
    one = SandboxWorld(parts.chosen_release())
    yield one
    one.end()


@pytest.fixture(scope="session")
def still_sandbox_world() -> Iterator[SandboxWorld]:
    """Without a ticker: nobody reconciles."""
    one = SandboxWorld(parts.chosen_release(), ticking=False)
    yield one
    one.end()


@pytest.fixture(scope="session")
def cluster_world(plane: ControlPlane) -> Iterator[ClusterWorld]:
    one = ClusterWorld(plane)
    yield one
    one.metrics.end()


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    """The same scenario in each: the sandbox plays the release that the cluster runs."""
    found: World = request.getfixturevalue(f"{request.param}_world")
    return found


@pytest.fixture
def canary(world: World) -> Iterator[Canary]:
    """A canary in a namespace of its own, not yet placed."""
    one = Canary(world)
    yield one
    one.leave()


# ---- many rounds of the product on the cluster ----


@pytest.fixture
def count(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--rounds"))


@pytest.fixture
def begin(cluster_world: ClusterWorld, tmp_path: Path, count: int) -> Iterator[Callable[..., Rounds]]:
    """Makes the canaries and starts the server."""
    made: list[Rounds] = []

    def begin(**canary: object) -> Rounds:
        made.append(Rounds(cluster_world, tmp_path, count, **canary))
        made[-1].start(version("v2"))
        return made[-1]

    yield begin
    for one in made:
        one.close()


@pytest.fixture(name="say")
def fixture_say(capsys: pytest.CaptureFixture[str]) -> Say:
    """What a race found is told although it passed."""

    def told(line: str) -> None:
        with capsys.disabled():
            say(line)

    return told
