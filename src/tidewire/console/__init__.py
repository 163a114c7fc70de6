"""What browsers are given: the operators' page at `/console`, and `static/tidewire.js`, the client for pages.

`routes.py` has the page's routes, `guard.py` who may ask, `sessions.py` who has logged in. `page/` is the page itself,
`vendor/` the two libraries that it is made with.
"""
