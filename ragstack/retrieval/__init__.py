"""From a question to hits: dense and lexical candidates, fused into one ranking.

Given an embedder and a `ChunkSearch`, nothing else; how much of what was found goes into a prompt is decided
in `context`.
"""
