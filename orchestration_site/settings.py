"""Django's settings. What an operator may set is in `environment.py`."""

import sys
from typing import Any

from orchestration_site import factories, logs
from orchestration_site.data_folder import stop_unless_written
from orchestration_site.environment import BASE_DIR, read_environment
from orchestration_site.secret_files import read_or_create_encryption_key, read_or_create_secret

ENVIRONMENT = read_environment()
DATA_DIR = ENVIRONMENT.data_dir
#: As in pyproject.toml, which an image does not hold.
RELEASE = "0.2.0"

DEBUG = ENVIRONMENT.debug
with stop_unless_written(DATA_DIR):
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    SECRET_KEY = (
        ENVIRONMENT.secret_key.get_secret_value()
        if ENVIRONMENT.secret_key
        else read_or_create_secret(DATA_DIR / "keys" / "secret_key")
    )
    ENCRYPTION_KEYS = ENVIRONMENT.encryption_keys or [
        read_or_create_encryption_key(DATA_DIR / "keys" / "encryption_key")
    ]
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *ENVIRONMENT.allowed_hosts]
CSRF_TRUSTED_ORIGINS = ENVIRONMENT.csrf_trusted_origins

INSTALLED_APPS = [
    "orchestration_site",
    "deployments",
    "designs",
    "access",
    "rest",
    "access.admin_config.SlowAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_vite",
    "csp",
    "django_celery_beat",
    "django_celery_results",
]

MIDDLEWARE = [
    "orchestration_site.async_middleware.InlineSecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "orchestration_site.async_middleware.InlineSessionMiddleware",
    "orchestration_site.async_middleware.InlineCommonMiddleware",
    "orchestration_site.async_middleware.InlineCsrfViewMiddleware",
    "orchestration_site.async_middleware.InlineAuthenticationMiddleware",
    "orchestration_site.async_middleware.InlineMessageMiddleware",
    "orchestration_site.async_middleware.InlineXFrameOptionsMiddleware",
    "orchestration_site.async_middleware.InlineCSPMiddleware",
]

ROOT_URLCONF = "orchestration_site.urls"
ASGI_APPLICATION = "orchestration_site.asgi.application"
APPEND_SLASH = False  # the API answers both forms itself

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "orchestration_site.page_context.page_context",
            ],
        },
    },
]

DATABASES = {
    "default": factories.database(
        ENVIRONMENT.database_url,
        data_dir=DATA_DIR,
        pool=ENVIRONMENT.database_pool,
        prepares=ENVIRONMENT.database_prepares,
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CHANNEL_LAYERS = factories.channel_layers(ENVIRONMENT.channel_url)
#: The servers whose clocks `manage.py doctor` compares with the database's.
REDIS_SERVERS = factories.redis_servers(ENVIRONMENT.broker_url, ENVIRONMENT.channel_url)

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "/sign-in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/sign-in"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
#: What Vite builds of `frontend/`: `.ci/build-pages`.
BUILT_PAGES = BASE_DIR / "frontend" / "dist"
STATICFILES_DIRS = [("pages", BUILT_PAGES)] if BUILT_PAGES.is_dir() else []
DJANGO_VITE = {"default": {"manifest_path": BUILT_PAGES / "manifest.json", "static_url_prefix": "pages"}}
#: Files whose names change with what is in them.
SERVESTATIC_IMMUTABLE_FILE_TEST = r"^/static/pages/assets/"

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "deployments.api.authentication.ApiKeyAuthentication",
        "access.authentication.SessionPrincipalAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["access.permissions.HasVerb"],
    "DEFAULT_PARSER_CLASSES": ["rest.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_PAGINATION_CLASS": "rest.pagination.KeysetPagination",
    "DEFAULT_FILTER_BACKENDS": ["rest.filters.AllowListBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "rest.problems.problem_response",
    "UNAUTHENTICATED_USER": None,
    "DATETIME_FORMAT": "iso-8601",
    "COERCE_DECIMAL_TO_STRING": True,
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Orchestration deployments",
    "DESCRIPTION": "Deploy orchestration designs, execute them, and read what ran.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "AlertKind": "deployments.models.alert.AlertTarget.Kind",
        "AlertDeliveryStatus": "deployments.models.alert.AlertDelivery.Status",
        "DeploymentStatus": "deployments.models.deployment.Deployment.Status",
        "ExecutionStatus": "deployments.models.execution.ExecutionLog.Status",
        "SettableDeploymentStatus": ["active", "inactive"],
        "UnfinishedStatus": ["queued", "running"],
        "CompletedStatus": ["completed"],
        "CancelStatus": ["cancelled", "cancelling"],
    },
    "WEBHOOKS": "deployments.api.alert_webhooks.WEBHOOKS",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "rest.openapi.add_problem_responses",
        "rest.openapi.strip_trailing_slashes",
    ],
}

globals().update(factories.mail(ENVIRONMENT.email_url))

CELERY_BROKER_URL = factories.broker(ENVIRONMENT.broker_url)
CELERY_RESULT_BACKEND = "django-db"
CELERY_BEAT_SCHEDULER = "deployments.scheduling.scheduler:DeploymentScheduler"
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_CONCURRENCY = ENVIRONMENT.max_concurrent_executions
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_PREFETCH_COUNT_REDUCTION = False  # the window is small: `orchestration_site.celery`
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_TRANSPORT_OPTIONS = factories.broker_options(ENVIRONMENT.broker_url)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker outlives any outage of its broker: the sweeps need it
CELERY_BROKER_POOL_LIMIT = 100
CELERY_TASK_ACKS_LATE = False  # the row is the truth and the message a hint: an early ack costs nothing
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TASK_SEND_SENT_EVENT = False

#: Who is told what this site does, `deployments.telemetry.Observer`s: nobody, unless metrics or traces are on.
OBSERVERS = factories.observers(metrics=ENVIRONMENT.shows_metrics, traces=bool(ENVIRONMENT.otel_exporter_otlp_endpoint))
METRICS_ENDPOINT = factories.metrics_endpoint(metrics=ENVIRONMENT.shows_metrics)
CELERY_IMPORTS = factories.services_of_processes(ENVIRONMENT.metrics_port)

LOGGING_CONFIG = "logging.config.dictConfig"
LOGGING = logs.logging_configuration(
    ENVIRONMENT.log_level, terminal=sys.stderr.isatty(), as_json=ENVIRONMENT.log_format == "json"
)

#: The largest body that a request may have, in bytes; the ASGI middleware refuses more while it streams in.
MAX_BODY_BYTES = 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
#: How long a body may take to arrive: the largest one over a line of 35 kilobytes a second.
MAX_BODY_SECONDS = 30

#: Nothing runs or styles a page that does not come from this site's own files. Model output is text, whatever is in it.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = ENVIRONMENT.https
SECURE_HSTS_SECONDS = 31_536_000 if ENVIRONMENT.https else 0
#: W001 to W003 do not know our own middleware: `checks.py` does. Whether the domain's other sites have TLS (W005, W021)
#: is not for this one to say.
SILENCED_SYSTEM_CHECKS = [f"security.W{number:03}" for number in (1, 2, 3, 5, 21)]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
