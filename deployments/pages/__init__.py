"""The pages of deployments, executions and their history."""
