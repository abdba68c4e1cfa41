"""A profile says where the time went, in few lines."""

from bench.profiling import Profile, looking, profiles, text

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


def test_a_profile_has_every_process_with_its_top_functions_and_says_what_was_measured() -> None:
    profiles.clear()
    for n in range(17):
        profiles[f"process-{n}"] = profile = Profile()
        profile.add("\n".join(f"root;middle{each};leaf{each} {each + n + 1}" for each in range(40)))
    profiles["asleep"] = Profile()
    rows = [{"calls": 1, "mean_ms": 1.0, "total_ms": 1.0, "query": "SELECT 1"}] * 12
    first, *said = text("chain at 1234567, 2026-11-30 12:00 UTC", rows).splitlines()
    profiles.clear()
    assert first.startswith("chain at 1234567, 2026-11-30 12:00 UTC: ")
    assert [line.partition(",")[0] for line in said if line.endswith("samples at work")] == [
        f"process-{n}" for n in reversed(range(17))
    ]
    assert len([line for line in said if "leaf" in line or "middle" in line]) == 17 * 12
    assert "without a sample at work: asleep" in said
    assert said[-1].endswith("SELECT 1")


def test_nobody_is_looked_at_unless_a_profile_is_wanted() -> None:
    profiles.clear()
    with looking({"gone": 2**22 + 1}):
        pass
    assert profiles == {}
