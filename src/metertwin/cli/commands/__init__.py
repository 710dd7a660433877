"""One module per command of `metertwin`; each is imported only when its command runs."""
