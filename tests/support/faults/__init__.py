"""The fault campaign: what a store must survive, tried on real stores in child processes.

`command_line` runs it for `scripts/faults`; each module beside it is one kind of fault; `oracle` says what a
store must still be afterwards.
"""
