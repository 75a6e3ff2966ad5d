"""Who is there: customers, users, teams, queues, contacts, sessions."""
