"""Django's PostgreSQL backend, but for what `base` says."""
