"""How hypothesis looks for examples: the same ones in every run, however slow the machine is at that moment."""

from hypothesis import HealthCheck, settings

UNHURRIED = settings(deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
"""Without a deadline: 200 ms are soon over where a machine stands still, and say nothing of the code."""
