"""Who may do what."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "access"
    verbose_name = "Access"

    def ready(self) -> None:
        # Its receivers are how Django tells of a sign-in, whichever of its doors was used.
        import access.sign_ins  # noqa: F401, PLC0415 - needs the models, which are there only now
