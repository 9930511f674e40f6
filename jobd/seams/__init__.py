"""Where the world is touched: clock, processes, signals, files, terminal, systemd.

Everything above gets these as arguments, so that a test can hold the other end. A clock is read and
a process forked or killed here and nowhere else; the linter refuses it elsewhere. Nothing here
decides anything.

The scoreboard deserves a look first (`scoreboard`): one mapped file by which the processes of a
daemon know of each other while Redis is away, and after one of them has died.
"""
