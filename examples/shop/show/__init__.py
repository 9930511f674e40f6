"""The stage of the demo: a mail server, a Redis, a daemon, a producer, an accident, an account.

Nothing here belongs into an application. It looks at jobd from outside only: its command line, its
handles, process titles, and the files the shop's tasks write.
"""
