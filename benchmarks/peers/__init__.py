"""The small programs that run inside each system: workers, producers and the tasks they share.

They are started in the interpreter of their system, which has nothing of this suite installed: so
this package imports the standard library and that one system only, and nothing of jobd's driver.
"""
