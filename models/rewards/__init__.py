"""What a list of queries is worth to a user, in several rewards, computed as the service serves.

`records` says what is rewarded, `terms` how much of each reward it gets, `outcomes` searches and
merges what an answer asks for, `targets` says what would be good to find, `scoring` puts it
together for a trainer, `suspects` looks for lists that got more than they deserve.
"""
