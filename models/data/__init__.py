"""What students are trained and judged on: articles, logs and simulated users."""
