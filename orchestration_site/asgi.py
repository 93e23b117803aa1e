"""The ASGI application, for other servers than our own, `manage.py web`, which also ends streams when it is stopped."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestration_site.settings")
django.setup()

from orchestration_site.web import build_application  # noqa: E402 - models are imported by it, and need Django set up

application = build_application()
