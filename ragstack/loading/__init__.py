"""Loading: from a folder to documents.

`walk` finds the files, `files` reads their bytes safely, `readers` turn the bytes of each into a `Document`.
"""
