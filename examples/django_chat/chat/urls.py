"""The chat's addresses."""

from django.urls import path

from chat import views

urlpatterns = [
    path("", views.page, name="page"),
    path("channels/<int:channel>/say", views.say),
    path("channels/<int:channel>/read", views.read),
    path("channels/<int:channel>/typing", views.typing),
]
