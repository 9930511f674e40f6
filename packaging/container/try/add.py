"""Adds ten jobs, waits for them, and prints what they gave."""

from app import welcome

handles = [welcome.enqueue(user_id=number) for number in range(10)]
print(*(handle.result(timeout="60s") for handle in handles), sep="\n")
