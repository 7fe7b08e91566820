"""`./ripcord cluster`: what it prints, what it starts, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.cluster.api import Api, Object
from tests.cluster.folder import Folder, sweep
from tests.cluster.scene import ROLLOUT
from tests.cluster.start import LEASE, ControlPlane
from tests.support.processes import ROOT, Process, clean_environment
from tests.support.waiting import eventually

WITHIN = 90


def _started(*arguments: str) -> Process:
    one = Process([str(ROOT / "ripcord"), "cluster", *arguments])
    one.line("export KUBECONFIG=", within=WITHIN)
    return one


def _exports(process: Process) -> dict[str, str]:
    lines = [line.removeprefix("export ") for line in process.lines if line.startswith("export ")]
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}


def _api(kubeconfig: str) -> Api:
    body = yaml.safe_load(Path(kubeconfig).read_text())
    cluster = body["clusters"][0]["cluster"]
    return Api(cluster["server"], body["users"][0]["user"]["token"], cluster["certificate-authority"])


def _children(kubeconfig: str) -> dict[int, str]:
    lines = (Path(kubeconfig).parent / "processes").read_text().splitlines()
    return {int(line.split()[0]): line.split()[2] for line in lines}


def _alive(pids: dict[int, str]) -> list[str]:
    return [name for pid, name in pids.items() if _state(pid) not in ("", "Z", "X")]


def _leader(plane: ControlPlane) -> str:
    return str(plane.api().get(LEASE)["spec"]["holderIdentity"])


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


@pytest.mark.cluster
def test_in_the_tests_a_controller_that_ends_by_itself_is_started_again(plane: ControlPlane) -> None:
    """One that cannot renew its Lease for 10 s ends itself, and would take every test after it along."""
    before = _leader(plane)
    plane.send("rollouts-controller", signal.SIGTERM)
    eventually(lambda: _leader(plane) != before and plane.leads(), within=60, what="another one leads")


@pytest.mark.cluster
def test_two_stand_side_by_side_and_each_ends_exactly_what_it_started() -> None:
    with _started() as one, _started() as other:
        mine, theirs = _exports(one), _exports(other)
        assert list(mine) == ["RIPCORD_KUBECONFIG", "KUBECONFIG"]
        ours, others = _children(mine["KUBECONFIG"]), _children(theirs["KUBECONFIG"])
        parts = ["etcd", "kube-apiserver", "kube-controller-manager", "rollouts-controller"]
        assert sorted(ours.values()) == sorted(others.values()) == parts

        one.popen.send_signal(signal.SIGINT)

        assert one.wait(within=30) == 0
        assert _alive(ours) == []
        assert not Path(mine["KUBECONFIG"]).parent.exists()
        assert len(_alive(others)) == len(parts)
        assert _api(theirs["KUBECONFIG"]).get("/api/v1/namespaces/production")["metadata"]["name"] == "production"
        assert other.stop(within=30) == 0
        assert _alive(others) == []


@pytest.mark.cluster
def test_what_a_killed_one_left_is_gone_after_the_next_start() -> None:
    with _started() as killed:
        folder = Path(_exports(killed)["KUBECONFIG"]).parent
        pids = _children(str(folder / "admin.kubeconfig"))
        os.kill(killed.pid, signal.SIGKILL)
        killed.popen.wait(10)
        with _started() as following:
            assert _alive(pids) == []
            assert not folder.exists()
            following.stop(within=30)


def test_a_start_ends_what_stands_in_a_dead_ones_list_and_nobody_else_who_has_that_number(tmp_path: Path) -> None:
    with Process(["sleep", "60"]) as left, Process(["sleep", "60"]) as somebody, Process(["sleep", "60"]) as living:
        born = {one.pid: Path(f"/proc/{one.pid}/stat").read_text().split()[21] for one in (left, somebody, living)}
        dead = tmp_path / "run-dead"
        dead.mkdir()
        (dead / "processes").write_text(f"{left.pid} {born[left.pid]} etcd\n{somebody.pid} 1 kube-apiserver\n")
        folder = Folder(tmp_path)
        (folder.path / "processes").write_text(f"{living.pid} {born[living.pid]} etcd\n")

        assert sweep(tmp_path) == [], "a folder whose owner lives is left alone"

        assert left.wait(5) == -signal.SIGKILL
        assert _alive({somebody.pid: "somebody", living.pid: "living"}) == ["somebody", "living"]
        assert not dead.exists()
        folder.close()


@pytest.mark.cluster
def test_the_scene_is_a_canary_at_25_that_only_the_admin_may_change() -> None:
    with _started("--scene") as one:
        exports = _exports(one)
        admin, product = _api(exports["KUBECONFIG"]), _api(exports["RIPCORD_KUBECONFIG"])
        rollout: Object = product.get(ROLLOUT)
        assert (rollout["status"]["phase"], rollout["status"]["canary"]["weights"]["canary"]["weight"]) == (
            "Paused",
            25,
        )
        patch = json.dumps({"spec": {"paused": True}})
        kind = "application/merge-patch+json"
        assert product.call("PATCH", ROLLOUT, patch, kind).code == 403
        assert admin.call("PATCH", ROLLOUT, patch, kind).code == 200
        # A namespace that somebody makes later has the shipped Role too.
        admin.ensure("/api/v1/namespaces", {"metadata": {"name": "later"}})
        later = ROLLOUT.replace("production", "later").rpartition("/")[0]
        eventually(lambda: product.call("GET", later).code == 200, within=5, what="the Role stands there")
        one.stop(within=30)


def test_without_go_one_sentence_says_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / ".venv/bin/python", "-c", _WITHOUT_GO],
        env=clean_environment(PATH=str(tmp_path)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "Go 1.26 or newer is needed" in done.stderr


# The machine's own Go lies where it is looked for beside PATH.
_WITHOUT_GO = """
import sys
from tests.cluster import parts
parts.BESIDE_PATH = "/nowhere"
from tools import cluster
sys.exit(cluster.main([]))
"""


def test_a_release_that_is_not_pinned_is_named_with_those_that_are() -> None:
    done = subprocess.run(
        [ROOT / "ripcord", "cluster"],
        env=clean_environment(RIPCORD_CLUSTER_ROLLOUTS="v1.8.0"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "ripcord cluster: RIPCORD_CLUSTER_ROLLOUTS is 'v1.8.0'; there is v1.10.1 and v1.9.1\n"
