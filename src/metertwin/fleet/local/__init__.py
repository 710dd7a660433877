"""Sites on this machine: their parts as containers, their links, and what ran last."""
