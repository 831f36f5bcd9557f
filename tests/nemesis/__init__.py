"""Broker processes under faults, with a history that is checked afterwards (docs/reliability.md).

`make nemesis MINUTES=n` runs random faults; `test_scenarios.py` runs R1 and R6 to R13 one by one.
"""
