"""Logs in the format of MIND, the Microsoft News Dataset (Wu et al., ACL 2020): reading, writing,
and which articles were live when. What is measured on a log is said in `models.evaluation`.

A folder holds `news.tsv`, one article a row, and `behaviors.tsv`, one impression a row; the format:
https://github.com/msnews/msnews.github.io/blob/master/assets/doc/introduction.md. Articles are read
by `service.retrieval.indexes.readers.read_articles`, which takes `news.tsv` and JSON lines.
"""
