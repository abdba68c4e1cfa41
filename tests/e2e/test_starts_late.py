"""A service that starts when others have worked for long: it learns what was, and acts from now on."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cli.demo.scenes import play_scenario
from cli.running.installation import Installation
from testkit import orphans, restoring
from testkit.eventually import eventually

BEFORE = 20
"""Requests that the late service heard nothing of."""
SERVICE = "notifications"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]


class Nameless(Installation):
    """Its workers leave their groups when they stop: a member with a name stays for 20 s more."""

    def _common_settings(self) -> dict[str, str]:
        return {**super()._common_settings(), "THROUGHLINE_INSTANCE": ""}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    installation = Nameless(tmp_path_factory.mktemp("late") / "home", temporary=True)
    try:
        await installation.start(print)
        yield installation
    finally:
        await installation.stop()


async def test_a_service_with_an_empty_schema_learns_what_was_and_mails_nobody(
    installation: Installation,
) -> None:
    await restoring.stop(installation, SERVICE)
    async with orphans.acting(installation) as doors:
        old = await orphans.a_request(doors)
        assert (await play_scenario(installation, BEFORE, 9)).unanswered == []
        await restoring.hears_from_now_on(installation, SERVICE)
        await restoring.start(installation, SERVICE)
        assert await threads(installation) == 0
        await done(installation, "bootstrap")
        await eventually(lambda: known(installation, BEFORE + 1), within=60)
        await done(installation, "bootstrap")
        assert (await mails(installation), installation.sink.taken.mails) == ([], 0)

        await orphans.close(doors, old)
        new = await orphans.a_request(doors)
        await eventually(lambda: installation.sink.taken.mails >= 2, within=60)
    assert await mails(installation) == [(old, "closed"), (new, "received")]
    assert installation.sink.taken.repeated == 0


async def test_one_whose_schema_was_emptied_has_again_what_it_told_and_learns_the_rest(
    installation: Installation,
) -> None:
    await restoring.stop(installation, SERVICE)
    before, sent = await mails(installation), installation.sink.taken.mails
    told = f"SELECT DISTINCT subject FROM {SERVICE}.journal WHERE topic = '{SERVICE}.messages'"
    acted_on = len(await restoring.rows(installation, told))
    async with orphans.acting(installation) as doors:
        missed = await orphans.a_request(doors)
        await restoring.empty(installation, SERVICE)
        await done(installation, "recover")
        assert await threads(installation) == acted_on
        await restoring.hears_from_now_on(installation, SERVICE)
        await restoring.start(installation, SERVICE)
        await done(installation, "bootstrap")
        await eventually(lambda: known(installation, BEFORE + 3), within=60)
        assert (await mails(installation), installation.sink.taken.mails) == (before, sent)

        await orphans.close(doors, missed)
        await eventually(lambda: installation.sink.taken.mails > sent, within=60)
    assert await mails(installation) == sorted([*before, (missed, "closed")], key=lambda mail: mail[::-1])
    assert (installation.sink.taken.mails, installation.sink.taken.repeated) == (sent + 1, 0)


async def done(installation: Installation, verb: str) -> None:
    """Run a verb of the command for the service that is late."""
    status, said = await orphans.throughline(installation, verb, SERVICE)
    assert status == 0, said


async def threads(installation: Installation) -> int:
    return len(await restoring.rows(installation, f"SELECT 1 FROM {SERVICE}.threads WHERE state IS NOT NULL"))


async def known(installation: Installation, requests: int) -> bool:
    return await threads(installation) == requests


async def mails(installation: Installation) -> list[tuple[str, str]]:
    """Which requests somebody was mailed about, and with what."""
    query = f"SELECT request_id::text, template FROM {SERVICE}.messages ORDER BY template, request_id"
    return [tuple(row) for row in await restoring.rows(installation, query)]
