"""A profile says where the time went, in few lines."""

from bench.profiling import Profile, profiles, text

STACKS = """process 7:"python -m intake";main (a.py);decide (b.py) 30
process 7:"python -m intake";main (a.py);write (/x/site-packages/chassis/writing.py) 60
process 7:"python -m intake";main (a.py);write (/x/site-packages/chassis/writing.py);main (a.py) 10
"""


def test_a_function_has_its_own_part_and_that_of_what_it_calls() -> None:
    profile = Profile()
    profile.add(STACKS)
    assert profile.samples == 100
    assert "   60.0%  70.0%  write (chassis/writing.py)" in list(profile.lines())
    assert "   10.0% 100.0%  main (a.py)" in list(profile.lines())  # once a stack, however deep it comes back


def test_a_profile_has_at_most_sixty_lines() -> None:
    profiles.clear()
    for n in range(20):
        profiles[f"process-{n}"] = profile = Profile()
        profile.add("\n".join(f"root;middle{each};leaf{each} {each + 1}" for each in range(40)))
    rows = [{"calls": 1, "mean_ms": 1.0, "total_ms": 1.0, "query": "SELECT 1"}] * 12
    assert len(text("all", rows).splitlines()) <= 60
    profiles.clear()
