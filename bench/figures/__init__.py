"""The figures of the bench, a module for each kind."""
