"""Who may look and who may act over HTTP. What it holds against, each of which is a test:

    guessing passwords      scrypt; tries are counted per user and address, over all hosts, before the
                            hash is made; few hashes at once, so that nobody fills memory or cores
    finding out users       an unknown one takes as long, is told the same, is counted the same
    stealing a session      HttpOnly, SameSite, __Host- and Secure behind TLS; Redis has a hash of the token
                            only; ends unused, at its age, at log-out, with its user, with his password
    fixing a session        a log-in makes a new token, and ends the session the browser had
    forging a request       what is not GET or HEAD needs a token of this session, and comes from this site
    rebinding a name        where there are no users, only names and addresses of this host are answered, and only
                            pages of it
    reaching an open one    without users nobody beyond loopback is served, whatever opened the socket, nor
                            anything that a proxy has sent on
    lying about addresses   X-Forwarded-* count as far as named proxies go, and no further
    framing, injecting      no frames, no script, style or form but our own; nothing is kept by caches
    leading elsewhere       after a log-in only to a path of this site
    doing it unseen         every action is told, with who, from where, on what, done or not; refusals too,
                            so many at a time that they cannot fill the log

Fails closed: while Redis cannot be asked there is no session, and no try. Not held against: who reads the
traffic where there is no TLS; other servers on the same host name, to whom browsers send our cookie.

`make_auth` builds all of it. `Gatekeeper.admit` judges one request and blocks: `Auth` by users of ours,
`HostAuth` by what the application says that mounts us; `guard` does so for routes of Starlette; `Login` has
the routes of logging in and out; `SecureHeaders` is for every answer.
"""
