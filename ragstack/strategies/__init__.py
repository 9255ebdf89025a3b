"""Four ways to fill one budget: retrieval (the default), full text, sliding window, hierarchy of summaries.

Each is a function from a `ReadingTask` to a `PreparedPrompt`; `by_name` lists them. A strategy decides what
the reader is given, in how many prompts. How large a prompt may be is the ledger's business, and answering
the last one the system's.
"""
