"""Event queues: their entries, the client each belongs to, and the indexes that find them."""
