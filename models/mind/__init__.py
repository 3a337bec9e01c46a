"""Logs in the format of MIND, the Microsoft News Dataset: reading, what was live when, writing.

What is measured on a log belongs to `models.evaluation`. The format (Wu et al., ACL 2020;
https://github.com/msnews/msnews.github.io/blob/master/assets/doc/introduction.md): a folder holds
`news.tsv`, one article a row, and `behaviors.tsv`, one impression a row. Articles are read by
`service.retrieval.indexes.readers.read_articles`, which takes `news.tsv` and JSON lines.
"""
