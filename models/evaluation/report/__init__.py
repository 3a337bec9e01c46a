"""From what was measured to what people read: figures, the lists themselves, text, table, plots.

Nothing is measured here.
"""
