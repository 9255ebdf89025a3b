"""What a language model is made of, read from whatever describes it and never from its weights.

`lookup.describe_model` is the door: it takes a name, a `config.json`, a GGUF file, a folder or a server's
address and returns one `description.Architecture`.
"""
