"""Turns texts into vectors, and says with which model.

A model is located (`models`, `hub`), its configuration read (`description`), identified (`fingerprint`),
its tokenizer opened (`tokenizer`) and, at the first text to embed, run (`sentence` over a `runtime`);
`open` joins these steps. Nothing here knows of documents, chunks or stores.
"""
