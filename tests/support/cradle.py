"""The process that forks the product's processes for tests: `python -m tests.support.cradle FD MODULE…` (tests/support/nursery.py
asks).

To import what the server imports costs seconds, as often as a test starts one. Here it is imported once, with no thread and
nothing open, and each child is a copy that runs a module as `python -m` would: its session, environment, folder, path and
output are its own. What the imports read of the environment is told at the beginning, so that nobody gets another's.

FD is a socket of whole messages, the modules are what it imports. A wish comes with two descriptors: the child's output, and a pipe on which the child says
its id and this process its exit code. When the other end closes, whatever still lives of it is killed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar


@dataclass
class Wish:
    """A child that is wanted."""

    module: str
    arguments: list[str]
    env: dict[str, str]
    cwd: str
    output: int
    status: int


class _Watched(type(os.environ)):  # type: ignore[misc]
    """The environment, which writes down what is read of it."""

    names: ClassVar[set[str]] = set()

    def __getitem__(self, name: str) -> str:
        _Watched.names.add(name)
        return str(super().__getitem__(name))


def import_all(names: list[str]) -> list[str]:
    """Imports them; which variables that read."""
    plain = os.environ.__class__
    os.environ.__class__ = _Watched
    try:
        for name in names:
            importlib.import_module(name)
    finally:
        os.environ.__class__ = plain
    return sorted(_Watched.names)


class Cradle:
    """Forks, and tells how each child ended."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.living: dict[int, tuple[int, int]] = {}  # descriptor of a child -> its id, its status pipe
        self.events = select.poll()
        self.events.register(control.fileno(), select.POLLIN)

    def serve(self) -> Wish | None:
        """In a child: what it shall be. In the cradle: None, once nobody is there any more."""
        while True:
            for descriptor, _event in self.events.poll():
                if descriptor in self.living:
                    self._ended(descriptor)
                    continue
                wish = self._receive()
                if wish is None:
                    self._end_all()
                    return None
                if self._fork(wish):
                    return wish

    def _receive(self) -> Wish | None:
        raw, descriptors, _flags, _address = socket.recv_fds(self.control, 1 << 20, 2)
        return Wish(**json.loads(raw), output=descriptors[0], status=descriptors[1]) if raw else None

    def _fork(self, wish: Wish) -> bool:
        pid = os.fork()
        if pid == 0:
            self.control.close()
            return True
        os.close(wish.output)
        child = os.pidfd_open(pid)
        self.living[child] = (pid, wish.status)
        self.events.register(child, select.POLLIN)
        return False

    def _ended(self, child: int) -> None:
        self.events.unregister(child)
        pid, status = self.living.pop(child)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(BrokenPipeError):
            os.write(status, b"%d\n" % code)
        os.close(status)
        os.close(child)

    def _end_all(self) -> None:
        for pid, _status in self.living.values():
            # Not yet waited for, so the number is still its own.
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for child in list(self.living):
            self._ended(child)


def become(wish: Wish, path: list[str]) -> None:
    """The rest of what a new interpreter has and a copy has not. `path`: where modules are found, whoever asks."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for standard in (1, 2):
        os.dup2(wish.output, standard)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.environ.clear()
    os.environ.update(wish.env)
    time.tzset()
    tempfile.tempdir = None
    os.chdir(wish.cwd)
    given = [os.path.abspath(one) for one in wish.env.get("PYTHONPATH", "").split(os.pathsep) if one]
    sys.path[:] = [os.getcwd(), *given, *path]
    sys.argv[:] = [wish.module, *wish.arguments]
    os.write(wish.status, b"%d\n" % os.getpid())
    # Other children's pipes and this one's: only what stands on 0, 1 and 2 is left.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


def main(control: socket.socket, names: list[str]) -> ModuleType | dict[str, object] | None:
    """The cradle's life; in a child the module's, which then ends as any interpreter does."""
    path = sys.path[1:]
    read = import_all(names)
    gc.collect()
    gc.freeze()  # else the first collection in each child would copy every page
    control.send(json.dumps(read).encode())
    wish = Cradle(control).serve()
    if wish is None:
        return None
    become(wish, path)
    return runpy.run_module(wish.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
