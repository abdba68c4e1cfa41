"""What a caller is told when something goes wrong behind the door: whether to repeat, and under which key."""

import pytest

from chassis.answers import translated
from chassis.asked import UnknownOutcome
from chassis.database import Unavailable


@pytest.mark.parametrize(
    ("error", "slug"), [(UnknownOutcome("cut off"), "outcome-unknown"), (Unavailable("away"), "unavailable")]
)
def test_what_was_cut_off_is_told_apart_from_what_was_never_sent(error: Exception, slug: str) -> None:
    told = translated(error)
    assert (told.slug, told.status) == (slug, 503)
