"""What a live call is told from outside: by operators, by customers, and by the state of the database."""
