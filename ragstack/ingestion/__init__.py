"""Bringing a store in step with folders: joins loading, chunking, embedding and the store for `system`.

`survey` puts what lies in a folder beside what the store knows of it, `batch` embeds and commits documents,
`run` is the ingest itself, and `observer` is how it shows its progress.
"""
