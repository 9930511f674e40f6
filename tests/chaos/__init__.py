"""The fault rows: real daemons on real servers, hurt on purpose, judged from outside.

Oracles first, since a harness that cannot see a loss proves nothing: `effects` is what really
happened, written outside Redis by the tasks themselves; `census` is all that Redis holds at one
instant; `faults` is what we did. Every row ends with the same account: nothing lost, nothing settled
by a run that had been superseded, every extra start explained by a fault, and new work is done.
"""
