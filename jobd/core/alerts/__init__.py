"""Alerts, the pure half: what kinds of rules there are, how a rule goes from quiet to firing and back, and
what must hold on the way to those who are told.

    kinds         the table of kinds: what one takes, looks at and says; the place to edit for another
    looks_at_*    a rule against facts: one reading per queue, schedule or host
    facts         what is known of queues, hosts and the store at one instant
    machine       inactive -> pending -> firing -> resolved, for one instance and for all of a rule
    trail         numbers that only grow, followed: for rules that count events
    judge         one evaluation of one rule, from facts to what is told
    units         how thresholds are read and values said
    notification  what people are told
    delivery      the boxes it stands in until they were; addresses, sending and signing on the way
"""
