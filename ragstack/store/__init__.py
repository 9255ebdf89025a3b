"""The persistent store: SQLite is the truth, FAISS is its index.

`store.Store` opens a directory; `Store.read` gives a `Snapshot` (one committed state, searched and read) and
`Store.write` a `Writer` (one process at a time, one transaction a document). `models` and the migrations in
`alembic/` define the schema, `vectors` is the only module that knows FAISS, `fulltext` the only one that
knows FTS5, `database` the only one that knows how SQLite must be opened. Other stages know only `protocols`,
so that another store can take the place of this one.
"""
