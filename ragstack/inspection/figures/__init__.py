"""Pictures of a model, of this machine and of a store, each drawn from a table that is written beside it.

One module a figure: it makes the table from computed or measured data, and draws from nothing but the table.
`table` and `theme` are what the figures share, `sheet` writes them to files.
"""
