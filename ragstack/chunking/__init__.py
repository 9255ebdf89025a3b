"""Chunking: cuts a document's text into overlapping windows that the embedder can read whole.

`windows` is the stage's door; `sentences` is used by packing and answering too.
"""
