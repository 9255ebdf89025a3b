"""A causal model of transformers in this process, with real files and random weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from deterministic_embedder import DeterministicEmbedder
from tiny_language_models import CHAT_TEMPLATE, save_tiny_llama, write_tiny_gguf

from ragstack.answering.generators.local import LocalGenerator
from ragstack.errors import GenerationError
from ragstack.records import Message
from ragstack.system import RAGSystem

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and torch, about tiny models

MESSAGES = (Message("system", "Answer."), Message("user", "Who fed the cat at noon? Zoë, or 猫?"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "tiny"
    save_tiny_llama(path)
    return path


@pytest.fixture(scope="module")
def generator(folder):
    with LocalGenerator(str(folder)) as opened:
        yield opened


def test_it_streams_and_counts(generator):
    pieces = list(generator.stream(MESSAGES, max_tokens=12))
    assert len(pieces) > 3
    assert (pieces[-1].answer_tokens, pieces[-1].finish_reason) == (12, "length")
    assert pieces[-1].prompt_tokens == generator.count_prompt(MESSAGES)


def test_it_writes_what_transformers_itself_would(generator):
    import torch

    text = "".join(piece.text for piece in generator.stream(MESSAGES, max_tokens=12))
    ids = generator._prompt_ids(MESSAGES)
    with torch.inference_mode():
        written = generator._model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)
    assert text == generator._tokenizer.decode(written[0][len(ids) :], skip_special_tokens=True)


def test_a_closed_stream_stops_the_model(generator):
    pieces = generator.stream(MESSAGES, max_tokens=10_000)
    next(pieces)
    pieces.close()


def test_a_model_without_a_chat_template_reads_plain_text(tmp_path):
    save_tiny_llama(tmp_path / "plain", template=None)
    with LocalGenerator(str(tmp_path / "plain")) as generator:
        plain = generator._tokenizer("Answer.\n\nWho?\n\n")["input_ids"]
        assert generator.count_prompt((Message("system", "Answer."), Message("user", "Who?"))) == len(plain)


def test_a_template_without_a_system_role_gets_one_message(tmp_path):
    template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "<{{ m.role }}>{{ m.content }}{% endfor %}"
    )
    save_tiny_llama(tmp_path / "strict", template=template)
    with LocalGenerator(str(tmp_path / "strict")) as generator:
        ids = generator._prompt_ids((Message("system", "Answer."), Message("user", "Who?")))
        assert generator._tokenizer.decode(ids) == "<user>Answer.\n\nWho?"


@pytest.mark.parametrize("name", ["no/such-model", "nowhere/at/all"])
def test_a_model_that_is_not_here_is_not_fetched(name):
    with pytest.raises(GenerationError, match="no language model on this machine"):
        LocalGenerator(name).prepare()


def test_a_gguf_file_is_told_apart_and_how_to_run_it(tmp_path):
    write_tiny_gguf(tmp_path / "tiny.gguf")
    with RAGSystem(embedder=DeterministicEmbedder()) as system:
        system.add_document("Ann fed the cat.", name="cats.txt")
        about = system.ask("Who fed the cat?", llm=str(tmp_path / "tiny.gguf")).generation
    assert "is a GGUF file, which transformers does not run" in about.error
    assert "llama-server -m" in about.hint


def test_what_describes_no_model_that_writes_is_answered_with_what_does():
    with RAGSystem(embedder=DeterministicEmbedder()) as system:
        system.add_document("Ann fed the cat.", name="cats.txt")
        about = system.ask("Who fed the cat?", llm="gpt-4o-mini").generation
    assert "`gpt-4o-mini` is neither" in about.error
    assert "`openai:MODEL`" in about.hint


def test_window_tokens_and_memory_are_in_the_ledger_and_the_prompt_fits(folder):
    with RAGSystem(embedder=DeterministicEmbedder()) as system:
        system.add_document("\n\n".join(f"Ann fed cat {n}." for n in range(400)), name="cats.txt")
        answer = system.ask("Which cats were fed?", llm=str(folder), reserve=8)
    limits = {term.name: term for term in answer.ledger.limits}
    assert limits["window"].tokens == 2_048 - 8
    assert "memory" in limits
    about = answer.generation
    assert about.error == ""
    assert about.prompt_tokens == about.predicted_prompt_tokens <= limits["window"].tokens
    assert about.memory is not None
    assert about.predicted_memory is not None


PEAK = """
import json, sys
from pathlib import Path
from ragstack.answering.generators.local import LocalGenerator
from ragstack.records import Message

generator = LocalGenerator(sys.argv[1])
generator.prepare()
words = "cat " * int(sys.argv[2])
*_, last = generator.stream((Message("user", words),), max_tokens=4)
status = Path("/proc/self/status").read_text().split()
print(json.dumps([last.prompt_tokens, int(status[status.index("VmHWM:") + 1]) * 1024]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak as Linux gives it")
@pytest.mark.parametrize("words", [50, 1_900])
def test_the_peak_of_a_whole_process_is_within_the_upper_bound(folder, words):
    from ragstack.context.complexity import estimate_memory
    from ragstack.context.reader_plans import plan_reader

    command = [sys.executable, "-W", "ignore", "-c", PEAK, str(folder), str(words)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    tokens, peak = json.loads(said.stdout)
    plan = plan_reader(str(folder), memory="8GB")
    upper = estimate_memory(plan.architecture, plan.deployment, tokens + 4).upper.total
    assert tokens > words
    assert peak <= upper


def test_a_model_that_stays_loaded_is_not_charged_for_its_weights_twice(folder):
    from ragstack.asking.planning import PromptLimits, plan_model
    from ragstack.embedding.tokenizer import ModelTokenizer

    with LocalGenerator(str(folder)) as generator:
        first, again = (
            plan_model(generator, PromptLimits(), lambda _: [], open_file=ModelTokenizer) for _ in range(2)
        )
    assert "weights that are loaded" not in first.plan.memory.reason
    assert "weights that are loaded" in again.plan.memory.reason


def test_thoughts_that_the_template_opens_are_told_apart_from_the_answer(tmp_path):
    opens = CHAT_TEMPLATE.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
    save_tiny_llama(tmp_path / "thinks", template=opens)
    with LocalGenerator(str(tmp_path / "thinks")) as generator:
        pieces = [piece.text for piece in generator.stream(MESSAGES, max_tokens=6)]
    assert pieces[0].startswith("<think>")
    assert sum("<think>" in piece for piece in pieces) == 1
