"""How much context fits a model: its architecture, its memory and time by physics, and the prompt they allow.

`architectures` describes a model without loading it, `complexity` and `latency` turn the description into
bytes and seconds, `solver` finds the largest prompt that fits, `hardware` says what there is to fit into.
Nothing here reads documents or talks to a language model.
"""
