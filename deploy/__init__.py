"""What puts the service on machines, a laptop among them."""
