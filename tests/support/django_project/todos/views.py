"""Its pages."""

import os

from django.contrib import auth
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from support.django_project.todos.models import Todo


@csrf_exempt
def login(request: HttpRequest) -> HttpResponse:
    """Logs in whoever is named."""
    user = auth.get_user_model().objects.get(username=request.POST["name"])
    auth.login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse(str(user.pk))


@csrf_exempt
def logout(request: HttpRequest) -> HttpResponse:
    """Logs out."""
    auth.logout(request)
    return HttpResponse()


@csrf_exempt
def add(request: HttpRequest) -> HttpResponse:
    """Adds something to do; `then` says what becomes of the transaction."""
    then = request.POST.get("then", "")
    with transaction.atomic():
        todo = Todo.objects.create(owner_id=int(request.POST["owner"]), text=request.POST["text"])
        todo.announce()
        if then == "roll back":
            transaction.set_rollback(True)
    if then == "die":
        os._exit(9)
    return HttpResponse(str(todo.pk))
