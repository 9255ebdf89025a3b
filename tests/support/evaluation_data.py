"""A small data set of each layout as plain values, and hypothesis strategies for spans of documents."""

from hypothesis import strategies as st

from ragstack.evaluation.spans import Span

DOCUMENTS = {
    "harbour.txt": (
        "The harbour master keeps the tide tables.\n"
        "Ships longer than ninety metres need a pilot.\n"
        "The lighthouse was painted red in spring.\n"
        "Nets dry on the eastern wall whenever the wind allows it.\n"
        "A bell rings twice when fog comes in from the sound.\n"
        "Herring is sold by weight before seven in the morning.\n"
    ),
    "kitchen.md": "# Bread\n\nKnead the dough for ten minutes.\n\n# Soup\n\nSimmer the bones overnight.\n",
}


def span_of(document, quote):
    start = DOCUMENTS[document].index(quote)
    return {"document": document, "start": start, "end": start + len(quote), "quote": quote}


QUESTIONS = [
    {
        "id": "1",
        "question": "Which ships need a pilot?",
        "evidence": [span_of("harbour.txt", "Ships longer than ninety metres")],
        "paragraph": span_of("harbour.txt", "Ships longer than ninety metres need a pilot."),
        "answer": "ships longer than ninety metres",
    },
    {
        "id": "2",
        "question": "How long is the dough kneaded?",
        "evidence": [span_of("kitchen.md", "ten minutes")],
        "answer": "ten minutes",
    },
    {"id": "3", "question": "Who owns the quarry?", "evidence": [], "answerable": False},
]

CORPUS = [
    {"_id": "MED/10", "title": "Tides", "text": "The moon pulls the sea twice a day."},
    {"_id": "a:b", "title": "", "text": "Yeast needs sugar and warmth."},
    {"_id": "7", "title": "Granite", "text": ""},
]
QUERIES = [
    {"_id": "q1", "text": "What does the moon pull?"},
    {"_id": "q2", "text": "What does yeast need?"},
    {"_id": "unjudged", "text": "Is anything here?"},
]


spans = st.builds(
    lambda document, start, length: Span(document, start, start + length),
    st.sampled_from(["a", "b"]),
    st.integers(0, 30),
    st.integers(1, 12),
)
span_lists = st.lists(spans, max_size=8)


def characters_of(many):
    return {(span.document, offset) for span in many for offset in range(span.start, span.end)}
