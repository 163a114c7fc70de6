"""The addresses that the server asks: `path("live/", include("tidewire.contrib.django.urls"))`."""

from django.urls import path

from tidewire.contrib.django import views

app_name = "tidewire"

urlpatterns = (path("whoami", views.whoami, name="whoami"), path("state", views.state, name="state"))
