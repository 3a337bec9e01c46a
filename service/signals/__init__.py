"""Stage one: a user's signals, and the prompt made from them."""
