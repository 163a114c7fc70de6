"""HTTP: the routes, on Starlette; what travels over them is decided by the engine."""
