"""Initial state: from functions of the application, from the application over HTTP, and from the users file."""
