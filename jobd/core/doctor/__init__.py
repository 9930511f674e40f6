"""What `jobd doctor` thinks: facts go in, findings come out, each with what to do.

    store     the Redis server: reachable, fit, quick, roomy, on time
    limits    the machine and the service manager, against what the configuration asks of them
    place     the runtime directory
    daemon    the daemon of this host, other hosts, and what dead ones have left

Pure: collected by jobd.cli, by jobd.broker.checkup and jobd.seams.machine. A fact that could not be
had is None, and then nothing is said of it, or that it is not known.
"""
