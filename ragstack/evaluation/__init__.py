"""Measuring a RAGSystem on questions with known evidence: data sets, measures, and the runs that use them."""
