"""One file a process: each builds its objects, and is where it can be seen what a process is made of.

Nothing below has default instances or global state; whoever reads a `main` here has the whole list.
"""
