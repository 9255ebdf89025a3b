"""Where the question comes from: arguments, standard input, or both."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

PRINT = """
import sys
from ragstack.cli import question
question.PATIENCE_SECONDS = 0.2
sys.stdout.buffer.write(question.read_question(sys.argv[1:]).encode())
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX pipes")


@pytest.fixture
def question(spawn):
    """The question that a process with these arguments and this input reads, and its stderr."""

    def run(*words, **options):
        result = spawn(*words, code=PRINT, **options)
        return result.stdout, result.stderr

    return run


def undecoded(*words):
    """The question of these bytes in a locale that has no letters beyond ASCII."""
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable.encode(), b"-c", PRINT.encode(), *words]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return done.stdout.decode()


def test_words_that_the_locale_cannot_decode_are_read_as_utf_8():
    assert undecoded("où est le café ?".encode()) == "où est le café ?"


def test_bytes_of_an_argument_that_are_no_text_become_replacement_characters():
    assert undecoded(b"caf\xe9") == "caf\ufffd"


def test_an_empty_question_is_called_one_and_standard_input_is_not_blamed(invoke):
    for words in ([""], ["  ", " "]):
        result = invoke("ask", *words)
        assert result.exit_code == 2
        assert "The question is empty" in result.stderr


@contextmanager
def silent_pipe():
    """A pipe that stays open and carries nothing, as schedulers give to their children."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def test_the_words_of_the_question_are_joined(question):
    assert question("how", "long", "is it?") == ("how long is it?", "")


def test_a_dash_reads_the_question_from_standard_input(spawn):
    result = subprocess.run(
        [sys.executable, "-c", PRINT, "-"], input=b"\xef\xbb\xbf why?\r\n", capture_output=True, check=True
    )
    assert result.stdout == b"why?"


def test_a_pipe_alone_is_the_question():
    result = subprocess.run([sys.executable, "-c", PRINT], input=b"why?\n", capture_output=True, check=True)
    assert result.stdout == b"why?"


def test_piped_text_follows_the_question_that_is_given():
    result = subprocess.run(
        [sys.executable, "-c", PRINT, "what is this?"], input=b"some text\n", capture_output=True, check=True
    )
    assert result.stdout == b"what is this?\n\nsome text"


def test_a_file_as_standard_input_follows_the_question(question, folder):
    (folder / "notes.txt").write_text("some text", encoding="utf-8")
    with (folder / "notes.txt").open() as notes:
        assert question("what is this?", stdin=notes)[0] == "what is this?\n\nsome text"


def test_a_loop_over_a_file_of_questions_keeps_its_file(folder):
    (folder / "questions").write_text("first?\nsecond?\n", encoding="utf-8")
    (folder / "print.py").write_text(PRINT, encoding="utf-8")
    loop = f'while read -r q; do "{sys.executable}" print.py "$q"; echo; done < questions'
    result = subprocess.run(["bash", "-c", loop], capture_output=True, text=True, check=True)
    assert result.stdout == "first?\nsecond?\n"


def test_a_pipe_that_nobody_writes_to_does_not_hold_up_a_question(question):
    with silent_pipe() as reading:
        text, complaint = question("why?", stdin=reading)
    assert text == "why?"
    assert complaint.startswith("nothing came on standard input")


def test_bytes_that_are_no_text_become_replacement_characters():
    result = subprocess.run([sys.executable, "-c", PRINT], input=b"caf\xe9?", capture_output=True, check=True)
    assert result.stdout.decode() == "caf\ufffd?"


@pytest.mark.parametrize("arguments", [["ask"], ["ask", "-"], ["ask", "  "]])
def test_no_question_at_all_is_wrong_usage(invoke, arguments):
    result = invoke(*arguments, input="\n")
    assert result.exit_code == 2
    assert "question" in result.stderr.lower()
