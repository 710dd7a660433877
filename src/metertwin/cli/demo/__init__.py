"""The demonstration: a whole site on this machine, watched, asked and accounted for."""
