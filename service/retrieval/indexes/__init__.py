"""The article indexes, OpenSearch and the embedded one: searching, writing, and files of articles.

What is done with the hits (fusion, caches, popular articles) is one package up.
"""
