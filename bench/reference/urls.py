"""The reference's one address."""

from django.urls import path

from bench.reference.views import CallView

urlpatterns = [path("call", CallView.as_view())]
