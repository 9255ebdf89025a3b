"""Examines what a store depends on: libraries, file system, disk space, model files, and the store itself.

Every check returns a record and none stops the others; a check that cannot be made is a problem too. Nothing
is downloaded, migrated or mended.
"""

from __future__ import annotations

import hashlib
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragstack.config import DATABASE_FILE
from ragstack.errors import EmbeddingError, ModelDamagedError, ModelNotFoundError, StoreDamagedError
from ragstack.inspection.checks import Check, Status, made
from ragstack.inspection.environment import bytes_in, files_in, library_checks, openmp_runtimes, place_checks

if TYPE_CHECKING:
    from ragstack.embedding.sentence import SentenceTransformerEmbedder
    from ragstack.records import FloatArray
    from ragstack.store.generations import IndexGeneration


def diagnose(
    directory: Path, *, model: str | None = None, offline: bool = False, thorough: bool = False
) -> tuple[Check, ...]:
    """Everything that is worth knowing about the store in `directory`, or about the machine if there is none.

    The embedding model is `model`, else that of the store, else the default one. `thorough` reads its files
    whole, loads it, and compares its vectors with those of when the store was made. With `offline` a model
    whose files are missing is a problem, because it cannot be downloaded later either.
    """
    checks = library_checks()
    generation = None
    if (directory / DATABASE_FILE).is_file():
        checks += place_checks(directory)
        found, generation = store_checks(directory)
        checks += found
    else:
        remedy = "run `ragstack ingest FOLDER` to make one"
        checks.append(Check("store", Status.OK, f"there is none at `{directory}` yet", remedy))
    examine = partial(embedding_model, model, generation, offline=offline, thorough=thorough)
    checks.append(made("model", examine))
    checks.append(made("OpenMP", openmp_runtimes))  # last, when the other checks have loaded what they need
    return tuple(checks)


# ---------------------------------------------------------------------------- store


def store_checks(directory: Path) -> tuple[list[Check], IndexGeneration | None]:
    """The store itself, and the generation that is searched (None if there is none or it cannot be read)."""
    schema = made("schema", partial(schema_revision, directory))
    checks = [schema, made("writer", partial(writer, directory))]
    generation = None
    if schema.status is Status.OK:  # an older store would be migrated by opening it
        whole = made("integrity", partial(integrity, directory))
        checks.append(whole)
        generation = _generation(directory) if whole.status is Status.OK else None
    checks += [
        made("set aside", partial(quarantine, directory)),
        made("backups", partial(backups, directory)),
    ]
    return checks, generation


def schema_revision(directory: Path) -> Check:
    """Whether this ragstack knows the store's schema, and whether it will have to migrate it."""
    from ragstack.store import migrations
    from ragstack.store.connections import damage_reported

    database = directory / DATABASE_FILE
    try:
        with damage_reported(database):
            older, found = migrations.needs_upgrade(database), migrations.revision(database)
    except StoreDamagedError as error:
        return Check("schema", Status.PROBLEM, error.message, "run `ragstack verify`")
    if not older:
        return Check("schema", Status.OK, f"revision {found}")
    detail = f"revision {found} is older than {migrations.HEAD}; the next command backs it up and migrates it"
    return Check("schema", Status.WARNING, detail, "keep the old ragstack if you may want to go back")


def integrity(directory: Path) -> Check:
    """Whether the quick check of the store finds damage."""
    from ragstack.system import RAGSystem

    with RAGSystem.open(directory, create=False) as system:
        found = system.verify()
    if found.is_clean:
        detail = f"a quick check of {found.documents:,} documents and {found.chunks:,} chunks finds no damage"
        return Check("integrity", Status.OK, detail)
    first = found.problems[0]
    detail = f"{len(found.problems):,} problems, the first: {first.subject}: {first.detail}"
    return Check("integrity", Status.PROBLEM, detail, "run `ragstack verify --deep`")


def _generation(directory: Path) -> IndexGeneration | None:
    from ragstack.system import RAGSystem

    with RAGSystem.open(directory, create=False) as system:
        return system.generation


def writer(directory: Path) -> Check:
    """Who is writing to the store, and whether a writer that has died left its note."""
    from ragstack.store.files import HOLDER_FILE

    psutil: Any = import_module("psutil")  # it carries no types
    note = directory / HOLDER_FILE
    try:
        pid = int(note.read_text(encoding="ascii"))
    except FileNotFoundError:
        return Check("writer", Status.OK, "nobody is writing")
    except ValueError:
        return Check("writer", Status.OK, f"`{note}` names no process; the next writing command replaces it")
    if psutil.pid_exists(pid):
        return Check("writer", Status.OK, f"process {pid} is writing; others can read")
    detail = f"process {pid} has ended without removing `{note}`; its lock died with it"
    return Check("writer", Status.OK, detail)


def quarantine(directory: Path) -> Check:
    """Whether damaged index files were set aside."""
    from ragstack.store.segments import QUARANTINE

    folder = directory / QUARANTINE
    files = files_in(folder)
    if not files:
        return Check("set aside", Status.OK, "no damaged index files")
    return Check(
        "set aside",
        Status.WARNING,
        f"damaged index files that were made anew: {len(files):,}, kept in `{folder}`",
        f"check the disk they are on; then delete `{folder}`",
    )


def backups(directory: Path) -> Check:
    """Which backups repairs and migrations have made; they hold what was removed since."""
    from ragstack.store.maintenance import BACKUPS

    folder = directory / BACKUPS
    made = sorted(path for path in folder.glob("*") if path.is_dir())
    if not made:
        return Check("backups", Status.OK, "none in the store's directory")
    size = f"{bytes_in(folder) / 1e6:,.1f} MB"
    detail = f"{len(made):,} made by repairs and migrations ({size}), the newest `{made[-1]}`"
    return Check("backups", Status.OK, detail, "`ragstack purge` deletes them")


# ---------------------------------------------------------------------------- model


def embedding_model(
    name: str | None, generation: IndexGeneration | None, *, offline: bool, thorough: bool
) -> Check:
    """Whether the embedding model's files are here, unchanged, and those that the store was made with."""
    from ragstack.embedding.models import locate_model
    from ragstack.embedding.sentence import SentenceTransformerEmbedder
    from ragstack.store.generations import require_same_embedder

    try:
        located = locate_model(name or (generation.fingerprint.name if generation else None), offline=True)
    except ModelNotFoundError as error:
        detail = error.message.removesuffix(", and it is offline")
        if offline:
            return Check("model", Status.PROBLEM, detail, error.hint or "")
        return Check("model", Status.WARNING, f"{detail}; it is downloaded when needed", error.hint or "")
    embedder = SentenceTransformerEmbedder(located)
    if generation is not None:
        require_same_embedder(generation, embedder.fingerprint)
    detail = (
        f"`{located.name}`, {embedder.dimension} dimensions, sha256 {embedder.fingerprint.weights[:12]}..."
    )
    if thorough:
        detail += _examine_thoroughly(embedder, generation)
    return Check("model", Status.OK, detail)


def _examine_thoroughly(embedder: SentenceTransformerEmbedder, generation: IndexGeneration | None) -> str:
    """Read the files whole, load the model, compare its vectors; raises if anything is not as it was."""
    from ragstack.embedding.fingerprint import probe_vectors
    from ragstack.store.generations import require_same_vectors

    _require_undecayed(embedder)
    vectors = probe_vectors(embedder)
    _require_like_the_original(embedder, vectors)
    if generation is None:
        return "; read whole and loaded"
    require_same_vectors(generation, vectors)
    return "; read whole, loaded, and gives the vectors that it gave when the store was made"


def _require_like_the_original(embedder: SentenceTransformerEmbedder, vectors: FloatArray) -> None:
    """Raise EmbeddingError if the compiled model no longer gives what sentence-transformers gives."""
    from ragstack.embedding.compiled import open_original
    from ragstack.embedding.fingerprint import PROBE_COSINE, lowest_cosine, probe_vectors
    from ragstack.embedding.model_cache import cache_folder
    from ragstack.embedding.sentence import SentenceTransformerEmbedder

    original = SentenceTransformerEmbedder(embedder.model, open_runtime=open_original)
    cosine = lowest_cosine(vectors, probe_vectors(original))
    if not cosine >= PROBE_COSINE:
        raise EmbeddingError(
            f"the compiled model's vectors differ from those of sentence-transformers (cosine {cosine:.4f})",
            hint=f"delete `{cache_folder()}`; models are compiled again when they are needed",
        )


def _require_undecayed(embedder: SentenceTransformerEmbedder) -> None:
    """Raise ModelDamagedError if a file's bytes are no longer those that its remembered hash was made of."""
    from ragstack.embedding.file_hashes import file_sha256

    description = embedder.description
    for path in [
        *(description.folder / file for file in description.weight_files),
        description.tokenizer_file,
    ]:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != file_sha256(path):
            raise ModelDamagedError(
                f"the bytes of the model file `{path}` have changed, though its size and times have not",
                hint=embedder.model.repair or "get the model's files again, and check the disk",
            )
