"""The program `metertwin`: starting the roles of a site, and people's commands to its API."""
