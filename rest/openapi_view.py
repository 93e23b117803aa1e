"""The OpenAPI document of the whole API, which is the same for everybody and needs neither a key nor a session.

Making it takes a process a second, so that a few requests a second from anybody would leave it no time for others.
"""

import threading
from typing import Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request


class SchemaView(SpectacularAPIView):
    """Makes the document once a process, and writes it once in each format."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer]
    _written: ClassVar[dict[type, bytes]] = {}
    _writing = threading.Lock()

    def _get_schema_response(self, request: Request) -> HttpResponse:
        renderer = request.accepted_renderer
        with self._writing:
            if type(renderer) not in self._written:
                self._written[type(renderer)] = self._write(renderer)
        charset = f"; charset={renderer.charset}" if renderer.charset else ""
        name = f"{spectacular_settings.TITLE}.{renderer.format}"
        return HttpResponse(
            self._written[type(renderer)],
            content_type=f"{renderer.media_type}{charset}",
            headers={"Content-Disposition": f'inline; filename="{name}"'},
        )

    def _write(self, renderer: Any) -> bytes:
        generator: Any = self.generator_class()
        document = generator.get_schema(request=None, public=True)
        written: bytes = renderer.render(document, renderer.media_type, {})
        return written
