"""A whole sandbox in this process: the world, its port and its ticker, started and ended by one call each."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from sandbox.http import Server
from sandbox.scene_kubernetes import seed_store
from sandbox.world import DEFAULT_WEBHOOK, World


@dataclass
class Sandbox:
    world: World
    server: Server

    @property
    def base_url(self) -> str:
        return self.server.base_url

    def end(self) -> None:
        self.world.end()
        self.server.shutdown()
        self.server.close_connections()
        self.server.server_close()


def start(
    port: int = 0,
    *,
    webhook_url: str = DEFAULT_WEBHOOK,
    ticking: bool = True,
    scene: bool = True,
    seed: int | None = None,
) -> Sandbox:
    """Its port answers when this returns. `scene`: the seed's objects stand in it. OSError where the port is taken."""
    world = World(webhook_url=webhook_url, seed=seed)
    server = Server(world, port)
    if scene:
        seed_store(world.kubernetes.store, world.kubernetes.controller, world.clock.now(), world.rng)
    if ticking:
        world.tick()  # a scene that lives has a controller that lives: its Lease stands there before anybody can stop it
        world.start_ticking()
    threading.Thread(target=server.serve_forever, args=(0.05,), name="sandbox", daemon=True).start()
    return Sandbox(world, server)
