"""Arrays and tables -> figures."""
