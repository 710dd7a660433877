"""Containers in a Docker or Podman engine, through the Docker Engine API over its Unix socket."""
