"""Sets Django up in this process, once; importing it is enough."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "support.django_project.settings")
django.setup()
