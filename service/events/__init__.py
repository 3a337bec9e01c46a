"""What was served, and what readers did with it: exposures and feedback, in streams of Redis."""
