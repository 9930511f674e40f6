"""The keeper: a host's duties at Redis, one file each, in a process that runs no user code.

    renew     leases of the workers that the supervisor says are alive; a thread of its own
    release   what a dead worker of this host held goes back at once, and the crash is charged
    reap      what a vanished host held goes back when its leases have ended
    revoke    jobs behind a task that holds the GIL run elsewhere
    heed      a running job that was cancelled is told, or condemned
    tidy      what is due is seen to be waiting, what ended long ago goes
    schedules declared by code and file, fired when due, taken away when nobody wants them
    orders    what people ask of this host on another one: a worker replaced, or stacks
    inspect   a server that may lose jobs is named

Renewing here is why a task that holds the GIL never looks dead. A duty may be carried out twice, by
two hosts, or be cut off in its middle: each is one script, or a row of scripts that the next round
goes on with.
"""
