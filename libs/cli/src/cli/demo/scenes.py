"""The two things a demo can play: the sample scenario, or another system's log."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chassis.ids import new_id
from cli.demo import moving_in, scenario, setting_up, showing
from cli.demo.crm import Crm
from cli.demo.player import Player
from cli.door import Doors
from cli.running.installation import Installation


@dataclass
class Played:
    """What was played and what went unanswered."""

    steps: int
    seconds: float
    unanswered: list[str] = field(default_factory=list)
    unexplained: int = 0
    report: dict[str, Any] = field(default_factory=dict)


async def play_scenario(installation: Installation, requests: int, seed: int, at_once: int = 192) -> Played:
    """Set the sample organisation up and play a seeded scenario, so many requests at a time."""
    await setting_up.clients(installation)
    tokens: dict[str, str] = {}

    def token(login: str) -> str:
        if login not in tokens:
            tokens[login] = installation.token(login, setting_up.scopes_of(login))
        return tokens[login]

    doors = Doors(installation.running().services, token, connections=64)
    crm = Crm(installation.bootstrap, installation.prefix)
    try:
        await setting_up.people(doors)
        await setting_up.known_everywhere(doors)
        await crm.start()
        lives = scenario.lives(seed, requests)
        with showing.progress() as progress:
            task = progress.add_task("requests", total=len(lives))
            player = Player(doors, crm, str(new_id()), lambda: progress.advance(task))
            begun = time.monotonic()
            await player.play(lives, at_once)
        return Played(player.steps, time.monotonic() - begun, player.unanswered)
    finally:
        await crm.stop()
        await doors.close()


async def play_log(installation: Installation, log: Path, mapping: Path) -> Played:
    """Move an existing system's log in."""
    begun = time.monotonic()
    with showing.progress() as progress:
        report = await moving_in.play(installation, log, mapping, progress)
    unanswered = [f"{report['unanswered']} commands"] if report["unanswered"] else []
    return Played(
        report["commands"]["applied"], time.monotonic() - begun, unanswered, report["finals"]["unexplained"], report
    )
