"""What an application imports: it declares queues and tasks, adds jobs, waits for results.

`app` and `queue` and `task` declare, `signature` knows a task's parameters on both sides, `producer`
sends, `handle` is what is left in the hand of who added a job, `operate` does by hand what is done to
many, `schedules` is what is added at times of its own, `waiting` waits for ends. `job` is the context of
a run, with `once` for its steps, and `hooks` is what an application wants to hear of its jobs. What
cannot work is refused where it was written. Importing this costs a web process redis and msgspec, and
no connection until the first call.
"""
