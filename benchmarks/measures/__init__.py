"""The questions, one a file. Each has ``measure(bench) -> Outcome``; `ALL` in catalogue.py."""
