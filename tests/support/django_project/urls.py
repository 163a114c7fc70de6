"""Its addresses."""

from django.contrib import admin
from django.urls import include, path

from support.django_project.todos import views

urlpatterns = (
    path("live/", include("tidewire.contrib.django.urls")),
    path("admin/", admin.site.urls),
    path("login", views.login),
    path("logout", views.logout),
    path("add", views.add),
)
