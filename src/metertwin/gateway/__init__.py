"""The gateway: reads a group's meters, numbers what they say, and carries out commands.

It claims the group, polls in the meters' time, takes pushes, fills from the load profile what it
missed, and publishes readings in numbered runs. Its own state is a checkpoint and the tail of the
stream: after kill -9 it goes on at the next number, publishing nothing twice and leaving no
interval out that a meter still has.
"""
