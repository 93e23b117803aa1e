"""The reference's ASGI application."""

import os

from django.core.asgi import get_asgi_application

from bench.reference.celery import app

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.reference.settings")
celery_app = app
application = get_asgi_application()
