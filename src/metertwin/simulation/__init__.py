"""A street of meters that do not exist: a solved feeder, its households, and meters that answer.

The physics is pure: `world.World.advance` moves columns of state (one row per meter) from one
moment to another, however fast the clock runs. Around it `serving` lets every meter answer COSEM
over TCP. Voltages, currents, losses and energies come from one power flow, so they agree as they
would in a street; a scenario adds what goes wrong in one, and `truth` keeps what really happened.
"""
