"""Real parts for the tests: each module starts one of them, once a session, on a free port."""
