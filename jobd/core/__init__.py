"""Decisions and words, without the world.

Nothing here reads a clock, opens a file, starts a thread or knows Redis: what is needed goes in as
a value, and a value comes out. So everything here is tested in no time, in thousands of worlds.

    states, options, retry, verdict    what a job is, what may be asked of it, what becomes of it
    raised, error_types                what a task says by raising, and which errors are tried again
    schedule, cron, slots, missed      what is added when; which instants these are; what was missed
    config, config_values, ...         what jobd.toml may say; all problems of a file at once
    durations, names, ids, suggest     the small things that must be the same everywhere
    errors                             the tree of everything jobd raises on purpose
    events, job_events, store_events   facts that are told; `seams.log` puts them into words
"""
