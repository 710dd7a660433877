"""Containers that are only processes of this machine, for where there is no engine.

Each has a keeper: a small process that starts the program, starts it again, runs its health check
and writes down what happens. Keepers outlive the controller that started them, as a container does;
a demonstration ties them to itself instead.
"""
