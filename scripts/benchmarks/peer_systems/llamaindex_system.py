"""LlamaIndex: its SentenceSplitter (1,024 / 200 tokens by default) and its FAISS vector store."""

from __future__ import annotations

from pathlib import Path

from common import TOP_K, Ranker, files, main


def _embedding(model: str):
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    return HuggingFaceEmbedding(model_name=model)


def _splitter(model: str, size: int | None, overlap: int):
    from llama_index.core.node_parser import SentenceSplitter

    if size is None:
        return SentenceSplitter()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    count = lambda text: tokenizer.encode(text, add_special_tokens=False)  # noqa: E731
    return SentenceSplitter(chunk_size=size, chunk_overlap=overlap, tokenizer=count)


def ingest(folder: Path, store: Path, model: str, size: int | None, overlap: int) -> int:
    import faiss
    from llama_index.core import Document, StorageContext, VectorStoreIndex
    from llama_index.vector_stores.faiss import FaissVectorStore

    embedding = _embedding(model)
    documents = [Document(text=text, metadata={"path": path}) for path, text in files(folder)]
    nodes = _splitter(model, size, overlap).get_nodes_from_documents(documents)
    dimension = len(embedding.get_text_embedding("dimension"))
    storage = StorageContext.from_defaults(vector_store=FaissVectorStore(faiss.IndexFlatIP(dimension)))
    index = VectorStoreIndex(nodes, storage_context=storage, embed_model=embedding)
    index.storage_context.persist(persist_dir=str(store))
    return len(nodes)


def opened(store: Path, model: str) -> Ranker:
    from llama_index.core import StorageContext, load_index_from_storage
    from llama_index.vector_stores.faiss import FaissVectorStore

    vectors = FaissVectorStore.from_persist_dir(str(store))
    storage = StorageContext.from_defaults(vector_store=vectors, persist_dir=str(store))
    index = load_index_from_storage(storage, embed_model=_embedding(model))
    retriever = index.as_retriever(similarity_top_k=TOP_K)

    def rank(question: str) -> list[tuple[str, int, int]]:
        nodes = [each.node for each in retriever.retrieve(question)]
        return [(node.metadata["path"], node.start_char_idx, node.end_char_idx) for node in nodes]

    return rank


if __name__ == "__main__":
    main(ingest, opened)
