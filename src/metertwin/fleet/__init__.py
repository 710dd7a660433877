"""The fleet: what should run at a site, and the containers that make it so.

A site is described by one file in its state directory; each role of it runs as a container of its
own behind the runtime port, as a process, in Docker or in Podman. Several sites form a cloud with
edges, between which groups of twins are moved.
"""
