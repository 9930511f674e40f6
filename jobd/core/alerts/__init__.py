"""Alerts, the pure half: what kinds of rules there are, and how a rule goes from quiet to firing and back.

kinds         the table of kinds: what one takes, reads and says; the place to edit for another
facts         what is known of queues, hosts and the store at one instant
readings      a rule against facts: one reading per queue, schedule or host
machine       inactive -> pending -> firing -> resolved, for one instance and for all of a rule
notification  what people are told
"""
