"""One self-contained page about a store: `page` gathers and renders it, the other files are its parts.

The page needs no network and no server. Text of documents is data to it, never markup.
"""
