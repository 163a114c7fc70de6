"""What browsers are given: the operators' page at `/console`, and `static/tidewire.js`, the client for pages.

`console/routes.py` has the page's routes, `console/security.py` who may ask, `console/security.py` who has logged in. `page/` is the page itself,
`vendor/` the two libraries that it is made with.
"""
