"""Running a server: from taking its state to the clean stop."""
