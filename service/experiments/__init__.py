"""Which users are in which experiment: from a file to the arms of a request. Knows no stage."""
