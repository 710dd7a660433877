"""Where containers run, behind one port: processes of this machine, or a Docker or Podman engine.

`port` is what the fleet may ask of any of them, `choose` picks one, and one contract suite
(`tests/fleet/runtimes`) runs over all of them.
"""
