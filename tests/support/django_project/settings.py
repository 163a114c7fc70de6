"""Its settings; the environment says where the database and the server are."""

import os

DEBUG = False
SECRET_KEY = "of a project for tests alone"
ALLOWED_HOSTS = ("127.0.0.1", "testserver")
USE_TZ = True
ROOT_URLCONF = "support.django_project.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = (
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "tidewire.contrib.django",
    "support.django_project.todos",
)
MIDDLEWARE = (
    "django.middleware.common.CommonMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
)
TEMPLATES = (
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": (
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            )
        },
    },
)
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("TEST_DATABASE", ":memory:"),
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    }
}
PASSWORD_HASHERS = ("django.contrib.auth.hashers.MD5PasswordHasher",)
TIDEWIRE = {
    "URL": os.environ.get("TEST_SERVER", "http://127.0.0.1:9800"),
    "SECRET": "test-secret-that-must-not-be-logged",
    "INTERVAL": 0.02,
    "AUTHENTICATE": "support.django_project.todos.keys.user_of_key",
}
