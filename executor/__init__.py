"""The engine: runs an orchestration design over LLM agents.

It knows no framework, no database and no queue. The world is handed to it through four protocols, each with an
in-memory version that ships here: `Journal`, `ModelProvider`, `Budget` and `Clock`.
"""
