"""Pages of the reference that are made from the tables, and by running the core on samples."""
