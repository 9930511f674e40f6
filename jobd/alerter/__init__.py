"""The alerter process: it looks at rules, and tells people.

A process of its own, since it speaks to the world: whatever a receiver or a resolver does to it, leases
are renewed and workers supervised.
"""
