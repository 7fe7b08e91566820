"""`./ripcord chaos [--rounds N] [--seed N]`: kill -9 at every chosen moment of every story, until each was hit so often; prints the table.

Judged from the vendors' own log and notes, and the audit; exit 1 when anything was lost, done twice or left unfinished.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time
from contextlib import suppress

from tests.story import deaths
from tests.support.room import new_folder

ROUNDS, AT_A_TIME = 2, 4
PATIENCE = 3
"""How many times as many rounds are played at most: on a machine that is busy with other things some deaths come too late to count."""


def main(argv: list[str]) -> int:
    """0 when every promise held and every moment was hit often enough, else 1."""
    parser = argparse.ArgumentParser(prog="ripcord chaos", description="kill -9 at every chosen moment of every story.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="deaths at each moment of each story (default 2)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments that chance chooses")
    given = parser.parse_args(argv)
    if given.rounds < 1:
        parser.error("--rounds: at least 1")
    began = time.monotonic()
    try:
        games = _games(given.rounds, random.Random(given.seed))  # noqa: S311 - moments of a play, no secrets
    except AssertionError as problem:
        print(f"ripcord chaos: it could not be played: {problem}", file=sys.stderr)
        return 1
    counted = deaths.cells(one for game in games for one in game.plays)
    print("\n".join(deaths.lines(counted)))
    print(deaths.unwritten(one for game in games for one in game.plays))
    problems = [line for game in games for line in (*deaths.broken(game.plays), *([game.audit] if game.audit else []))]
    few = [cell for cell in counted if cell.rounds < given.rounds]
    problems += [f"{cell.moment} / {cell.story}: only {cell.rounds} rounds" for cell in few]
    for line in problems:
        print(f"ripcord chaos: {line}", file=sys.stderr)
    print(f"ripcord chaos: {'failed' if problems else 'every promise held'} in {time.monotonic() - began:.0f} s")
    return 1 if problems else 0


def _games(rounds: int, chance: random.Random) -> list[deaths.Game]:
    """Town after town, until every cell has its rounds."""
    games: list[deaths.Game] = []
    with suppress(KeyboardInterrupt):  # ended by hand: what was played is told
        _play_on(games, rounds, chance)
    return games


def _play_on(games: list[deaths.Game], rounds: int, chance: random.Random) -> None:
    while (left := _missing(games, rounds)) > 0 and sum(_rounds(game) for game in games) < PATIENCE * rounds:
        folder = new_folder("rc-")
        try:
            games.append(deaths.play(folder, f"sqlite:///{folder / 'ripcord.db'}", min(left, AT_A_TIME), chance))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        lost = len(deaths.broken(games[-1].plays))
        said = f"ripcord chaos: {len(games)} towns, {_missing(games, rounds)} rounds to go, {lost} broken promises in the last"
        print(said, file=sys.stderr, flush=True)


def _missing(games: list[deaths.Game], rounds: int) -> int:
    return rounds - min(cell.rounds for cell in deaths.cells(one for game in games for one in game.plays))


def _rounds(game: deaths.Game) -> int:
    return len(game.plays) // sum(len(stories) for _moment, stories in deaths.TABLE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
