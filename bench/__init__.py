"""Measuring the system, and the mock model server that it is measured and tested against."""
