"""Simulated readers over real articles: their interests, what they do, and what they click later.

What a student is taught about them is `models.training`, what is measured on them
`models.evaluation`. No request and no student uses anything of this.
"""
