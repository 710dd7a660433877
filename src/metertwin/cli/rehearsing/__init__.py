"""Rehearsals of apps from the command line: a group's history fetched, two runs, what differs."""
