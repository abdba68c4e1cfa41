"""Topics at a real broker: made as the contract says, compared, never changed in partitions."""

from typing import Any

import pytest

from chassis.topics import Change, Topics, WrongTopics
from contracts import registry

SOME = [registry.topic(name) for name in ("workflow.requests", "workflow.people", "workflow.dead-letters")]


async def test_missing_topics_are_made_with_the_settings_of_the_contract(kafka: Any, prefix: str) -> None:
    topics = Topics(prefix, 4, bootstrap_servers=kafka.bootstrap)
    assert {change.what for change in await topics.plan(SOME)} == {"missing"}
    made = await topics.apply(SOME)
    assert {(change.topic, change.wanted) for change in made} == {
        (f"{prefix}.workflow.requests", "4"),
        (f"{prefix}.workflow.people", "4"),
        (f"{prefix}.workflow.dead-letters", "1"),
    }  # fmt: skip
    assert await topics.plan(SOME) == []
    assert await topics.apply(SOME) == []


async def test_another_number_of_partitions_is_refused(kafka: Any, prefix: str) -> None:
    await Topics(prefix, 4, bootstrap_servers=kafka.bootstrap).apply(SOME[:1])
    more = Topics(prefix, 5, bootstrap_servers=kafka.bootstrap)
    assert await more.plan(SOME[:1]) == [Change(f"{prefix}.workflow.requests", "partitions", "5", "4")]
    with pytest.raises(WrongTopics, match=r"workflow\.requests has 4, not 5"):
        await more.apply(SOME)
    assert len(await Topics(prefix, 4, bootstrap_servers=kafka.bootstrap).plan(SOME)) == 2


async def test_a_setting_that_somebody_changed_is_told(kafka: Any, prefix: str) -> None:
    changed = registry.Topic(**{**vars(SOME[0]), "retention_ms": 1000})
    topics = Topics(prefix, 4, bootstrap_servers=kafka.bootstrap)
    await topics.apply([changed])
    (found,) = await topics.plan(SOME[:1])
    assert (found.what, found.found) == ("retention.ms", "1000")
