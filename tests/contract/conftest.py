"""An API server with one namespace and nobody who reconciles: the sandbox without its scene and without its ticker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.start import start
from tests.contract.wire import ROLLOUTS, Cluster, rollout


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
