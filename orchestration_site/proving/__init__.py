"""Proving: the system's promises held against real kills. For `manage.py prove`, the tests and the bench alone.

It starts and kills processes, which nothing that answers a request may do: only the command may import it.
"""
