"""HTTP: the routes of section 6, on Starlette; what travels over them is decided by the engine."""
