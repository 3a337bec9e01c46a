"""The demo articles and users, our own writing, made by script."""
