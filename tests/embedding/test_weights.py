"""Only whole safetensors files pass for weights."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from ragstack.embedding.weights import check_weights
from ragstack.errors import EmbeddingError, ModelDamagedError


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(
        {"a": np.ones((3, 4), np.float32), "b": np.zeros(2, np.float16)}, path, metadata={"format": "pt"}
    )
    return path


def test_a_complete_file_passes(weights):
    check_weights(weights)


@pytest.mark.parametrize("kept", [0, 7, 8, 40, -1])
def test_a_truncated_file_is_named(weights, kept):
    weights.write_bytes(weights.read_bytes()[:kept])

    with pytest.raises(ModelDamagedError, match=r"model\.safetensors` is not a complete safetensors file"):
        check_weights(weights)


@pytest.mark.parametrize(
    "content", [b"\xff" * 64, b"\x80\x04pickle" * 9, b"\x02\0\0\0\0\0\0\0[]", b"\x02\0\0\0\0\0\0\0{]"]
)
def test_a_file_of_another_form_is_named(weights, content):
    weights.write_bytes(content)

    with pytest.raises(ModelDamagedError, match="not a complete safetensors file"):
        check_weights(weights)


def test_bytes_after_the_tensors_are_refused(weights):
    weights.write_bytes(weights.read_bytes() + b"\0")

    with pytest.raises(ModelDamagedError):
        check_weights(weights)


def test_a_git_lfs_pointer_is_called_what_it_is(weights):
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:53aa\nsize 90868376\n")

    with pytest.raises(ModelDamagedError, match="Git LFS pointer") as caught:
        check_weights(weights)
    assert "git lfs pull" in caught.value.hint


def test_missing_weights_are_damage(weights):
    weights.unlink()

    with pytest.raises(ModelDamagedError, match=r"model\.safetensors` is missing"):
        check_weights(weights)


def test_pickled_weights_are_refused_with_the_way_out(weights):
    weights.rename(weights.with_name("pytorch_model.bin"))

    with pytest.raises(EmbeddingError, match="pickled") as caught:
        check_weights(weights)
    assert "safe_serialization" in caught.value.hint
