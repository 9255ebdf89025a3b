"""Turns texts into vectors, and says with which model.

A model is located (`models`, `hub`), its configuration read (`description`), identified (`fingerprint`),
its tokenizer opened (`tokenizer`) and, at the first text to embed, run (`sentence` over a `runtime`): by its
compiled form (`compiled`, kept by `model_cache`), or by sentence-transformers where that gives other vectors,
or where there is a GPU for many texts. `open` joins these steps, `ahead` does them in a thread. Nothing here
knows of documents, chunks or stores.
"""
