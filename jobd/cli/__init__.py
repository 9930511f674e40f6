"""The command line: one command a file.

A command reads its settings (`settings`), does one thing with `wiring`, `views` or a daemon's state,
and prints it twice over: for people (`table`), and with `--json` for programs. Exit codes are those
of sysexits(3). Commands are imported when they are called, so that `jobd --help` is quick.
"""
