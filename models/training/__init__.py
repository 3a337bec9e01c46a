"""What trainings of students share, whatever the technique: adapter, run folder, watching, plots.

What belongs to one technique is in a package of its own below; what makes a student of a trained
adapter is `models.packaging`.
"""
