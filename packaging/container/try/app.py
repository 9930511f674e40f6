"""An application to try the image with: one queue, one task."""

from jobd import Jobd

app = Jobd()
email = app.queue("email", attempts=3)


@email.task()
def welcome(user_id: int) -> str:
    return f"welcome, {user_id}"
