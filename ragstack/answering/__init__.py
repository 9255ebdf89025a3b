"""Turns a question and its packed passages into an answer whose every statement cites an exact span.

`extractive` answers by copying the sentences that answer best and needs no language model; `prompt` frames
the passages for one. What may be cited is decided by `citations`: only what was packed.
"""
