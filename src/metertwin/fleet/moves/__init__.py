"""Groups of twins, and shares of them, moved between sites and hosts."""
