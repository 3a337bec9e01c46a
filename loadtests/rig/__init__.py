"""What every load test here measures with: cores, arrivals, loops, rounds, results.

`loadtests/README.md` says how a scenario is run and how one is written.
"""
