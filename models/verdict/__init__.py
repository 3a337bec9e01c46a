"""The verdict of an online experiment: from exported events to words, intervals and a page.

`events` reads a folder, `users` gathers what each user did, `measured` has the metrics,
`statistics` the tests, `looks` what was known on each day, `verdict` the words, `report/` pages.
"""
