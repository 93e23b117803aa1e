"""Measuring the system."""
