"""The bare reference: the least that the same stack can do for one call of an endpoint.

A DRF view, one insert, a Celery task on the threads pool, one HTTP call to the provider, two updates, and a wake-up
over pub/sub. It checks, records and guarantees nothing: what our endpoint costs beyond it is what the guarantees cost.
"""
