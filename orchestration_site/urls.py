"""All addresses of the site."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularSwaggerSplitView

from access.admin_rights import reserve_the_rest
from access.sign_in_forms import SignInForm, answer_slowly
from deployments.urls import router as deployments_router
from designs.urls import router as designs_router
from rest.openapi_view import SchemaView
from rest.routers import BothSlashesRouter

#: One root for the lists of all apps.
router = BothSlashesRouter()
router.registry.extend([*designs_router.registry, *deployments_router.registry])

admin.autodiscover()  # here, where it is served: a worker needs none of it
reserve_the_rest(admin.site)

urlpatterns = [
    path(
        "sign-in",
        answer_slowly(
            LoginView.as_view(
                template_name="registration/sign_in.html",
                redirect_authenticated_user=True,
                authentication_form=SignInForm,
            )
        ),
        name="sign-in",
    ),
    path("sign-out", LogoutView.as_view(), name="sign-out"),
    path("", include("deployments.page_urls")),
    path("", include("designs.page_urls")),
    path("admin/", admin.site.urls),
    re_path(r"^api/schema/?$", SchemaView.as_view(), name="schema"),
    re_path(r"^api/docs/?$", SpectacularSwaggerSplitView.as_view(), name="docs"),
    path("api/", include("deployments.urls")),
    path("api/", include(router.urls)),
]

handler400 = "rest.error_handlers.bad_request"
handler403 = "rest.error_handlers.permission_denied"
handler404 = "rest.error_handlers.page_not_found"
handler500 = "rest.error_handlers.server_error"
