"""A Django project for tests: people have things to do, and are told when others add to them."""
