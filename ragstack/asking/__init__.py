"""How a question gets its answer from a language model, step by step."""
