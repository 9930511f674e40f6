"""A small shop whose background work runs on jobd.

Read `tasks.py` first: it is what your own application would contain. `orders.py`, `mail.py`,
`pictures.py` and `report.py` are the shop's business and know nothing of jobs; `producer.py` is its
web process. `show/` is the stage around it: it starts everything, kills a worker in the middle and
counts afterwards. `make demo` and `jobd demo` run `demo.py`.
"""
