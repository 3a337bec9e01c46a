"""The demo corpus and the demo users: invented news and invented readers, made by a grammar.

`stories/<category>.yaml` holds the hand-written material, one story line after the other; add one
there and it is in the next corpus. Every person, company and institution in it is made up. No
student is trained on it: the readers of trainings and evaluations are `models.simulation`'s.
"""
