"""What was asked of a store and what was answered, in a database of its own beside the documents."""
