"""Questions that operators ask. Nothing in this package changes anything."""
