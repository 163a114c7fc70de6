"""What there is to do, with its state provider next to it."""

from django.conf import settings
from django.db import models

from tidewire.contrib.django import Asked, Provider, provide, send_event
from tidewire.initial_state import Event, State


class Todo(models.Model):
    """One thing to do."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    text = models.TextField()

    def __str__(self) -> str:
        return str(self.text)

    def announce(self) -> None:
        """Tells the owner of it."""
        send_event(
            realm_id=1, event={"type": "todo", "id_": self.pk, "text": self.text}, users=[self.owner_id]
        )


def read_todos(asked: Asked) -> State:
    """All that the user has to do."""
    return {"todos": {str(todo.pk): todo.text for todo in Todo.objects.filter(owner_id=asked.user.id)}}


def apply_todo(state: State, event: Event) -> None:
    """One more, or the same again."""
    state["todos"][str(event["id_"])] = event["text"]


provide(Provider(fetch_type="todos", event_types=frozenset({"todo"}), read=read_todos, apply=apply_todo))
