"""State transitions: deciding records, and applying them. Only this package changes the durable state."""
