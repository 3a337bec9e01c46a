"""The model plane: students, their building, training and evaluation."""
