"""What each kind of service is asked, and how its answers are read."""
