"""The benchmark suite: jobd beside its peers and beside the bare floor, on one Redis in one run.

Start it with ``make bench`` or ``python -m benchmarks`` from the top of the checkout; ``make bench
ARGS="--quick"`` tries everything in three minutes, ``ARGS="--help"`` says how to pick. Absolute
figures hold for one machine on one day, so what counts are the ratios: every measure alternates
the systems round by round on the same private redis-server, and a ratio is taken inside a round.

The map::

    cli         the command line: which measures, how large, where the report goes
    plan        sizes of everything          bench      what a measure is handed
    commits     jobd as it was at another commit
    install     the peers' own environments  machine    what this machine is, and who else is busy
    servers     a private redis-server       processes  the processes of one run: CPU, memory, end
    stamps      marks that jobs leave        rounds     alternate systems, keep what failed
    figures     medians, spreads, ratios     report     tables as Markdown and on the terminal
    systems/    how each system is started   measures/  one question a file
    peers/      the small programs that run inside each system

Invariant: timing a job costs that job nothing. Only the first and the last job of a FIFO backlog
leave a mark, in a file, outside Redis.
"""
