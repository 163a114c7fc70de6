"""What happened to a queue's events recently, for questions by operators."""
