"""The contest's files: submissions, and what a leaderboard said of them."""
