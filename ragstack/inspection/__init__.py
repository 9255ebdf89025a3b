"""Looking into a store: what it holds, what it was made with, and any one document or chunk of it."""
