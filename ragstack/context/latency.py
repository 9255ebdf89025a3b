"""How long a model takes to read a prompt and to write a token: operations, bytes moved, seconds.

Time is the larger of arithmetic over FLOP/s and traffic over bandwidth (the roofline), or comes from two
timed prompts of the real server, which know more than any formula. Standard library only.

n = tokens of the prompt, H = query heads, d = head dimension, E = hidden size, V = vocabulary,
N = active weights inside the layers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ragstack.context.architectures.description import Architecture, Layer
from ragstack.context.cache import cache_bytes, state_bytes
from ragstack.context.deployment import AttentionKernel, Deployment
from ragstack.errors import UsageError

# Shares of a machine's peaks that inference reaches. Arithmetic: llm-analysis' default, which predicts the
# measured prefill of a 13B model on an A100 within 6 % (512 tokens: 59.5 of 63.2 ms). Bandwidth: what the
# same measurement implies for decoding (22.0 ms a token; 0.9 would give 18.7).
COMPUTE_EFFICIENCY = 0.7
BANDWIDTH_EFFICIENCY = 0.76


@dataclass(frozen=True, slots=True)
class Speed:
    """What a machine can do: floating-point operations and bytes moved in a second.

    `reason` says where the numbers come from. The efficiencies are the shares that inference reaches; 1 for
    peaks that were measured with the same kind of work.
    """

    flops: float
    bandwidth: float
    reason: str
    compute_efficiency: float = COMPUTE_EFFICIENCY
    bandwidth_efficiency: float = BANDWIDTH_EFFICIENCY

    def __post_init__(self) -> None:
        if min(self.flops, self.bandwidth, self.compute_efficiency, self.bandwidth_efficiency) <= 0:
            raise UsageError("a speed must be above 0")

    def seconds(self, operations: float, traffic: float) -> float:
        """The roofline: whichever of arithmetic and traffic takes longer."""
        compute = operations / (self.flops * self.compute_efficiency)
        return max(compute, traffic / (self.bandwidth * self.bandwidth_efficiency))


_SECONDS = {"": 1.0, "s": 1.0, "sec": 1.0, "ms": 1e-3, "m": 60.0, "min": 60.0}


def parse_seconds(text: str) -> float:
    """Seconds of a duration such as `5s`, `500ms`, `2min` or `5`.

    Raises UsageError for anything else, and for none at all.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = _SECONDS.get(match.group(2).lower()) if match else None
    seconds = float(match.group(1)) * unit if match and unit else 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"`{text}` is no length of time", hint="write it like `5s`, `500ms` or `2min`")
    return seconds


# ------------------------------------------------------------------------ operations


def visible_pairs(layer: Layer, tokens: int, *, causal: bool = True) -> int:
    """Pairs of a query and a key that a layer's attention computes in a prompt of `tokens` tokens.

    Causal: n(n + 1) / 2; with a window w, every token after the first w sees w of them:
    w(w + 1) / 2 + (n - w) w. Not causal: n^2, with a window about 2w - 1 to a token. Chunked attention of
    chunk w: the full chunks and the rest, each causal in itself.
    """
    if not layer.has_attention:
        return 0
    if layer.window is None:
        return tokens * (tokens + 1) // 2 if causal else tokens * tokens
    window = min(layer.window, tokens)
    if layer.kind == "chunked":
        whole, rest = divmod(tokens, window)
        return whole * window * (window + 1) // 2 + rest * (rest + 1) // 2
    half = window * (window + 1) // 2 + (tokens - window) * window
    return half if causal else min(2 * half - tokens, tokens * tokens)


def linear_flops(architecture: Architecture, tokens: int) -> int:
    """Operations of all matrices for `tokens` tokens: 2 N n, a multiplication and an addition each."""
    return 2 * architecture.active_parameters * tokens


def head_flops(architecture: Architecture, positions: int) -> int:
    """Operations of the output head for `positions` logits: 2 E V each."""
    return 2 * architecture.hidden_size * architecture.vocabulary * positions


def attention_flops(architecture: Architecture, tokens: int, *, skips_masked: bool = True) -> int:
    """Operations of scores and weighted values: 2 (d_k + d_v) H for each pair, over all layers.

    With `skips_masked` only the pairs that the mask lets through, as fused causal kernels compute: over all
    layers 2 L n^2 H d. Without, all n^2 pairs, as eager attention computes and papers count: 4 L n^2 H d.
    """
    total = 0
    for layer, count in architecture.require_layers():
        pairs = tokens * tokens
        if skips_masked or not layer.has_attention:
            pairs = visible_pairs(layer, tokens, causal=architecture.causal)
        total += count * 2 * (layer.key_dimension + layer.value_dimension) * layer.heads * pairs
    return total


def prefill_flops(
    architecture: Architecture, tokens: int, *, skips_masked: bool = True, logits: int = 1
) -> int:
    """Operations to read a prompt: matrices, attention, and the head at `logits` positions.

    Source: Kaplan et al. 2020 (arXiv 2001.08361, section 2.1); the count of calflops for Llama-2-7B is met
    with `skips_masked` False and logits at every position.
    """
    attention = attention_flops(architecture, tokens, skips_masked=skips_masked)
    return linear_flops(architecture, tokens) + attention + head_flops(architecture, logits)


# --------------------------------------------------------------------------- traffic


def decode_bytes(architecture: Architecture, deployment: Deployment, tokens: int) -> int:
    """Bytes read to write one token after `tokens` of context: active weights, cache and state.

    Of a mixture only the experts used are read; the head is read whole, the embedding table is not.
    """
    weights = architecture.stored_bytes
    if architecture.parameters:
        head = architecture.hidden_size * architecture.vocabulary
        share = min(1.0, (architecture.active_parameters + head) / architecture.parameters)
        weights = int(weights * share)
    cache = cache_bytes(architecture, deployment, tokens)
    return weights + cache + state_bytes(architecture, deployment)


def prefill_bytes(architecture: Architecture, deployment: Deployment, tokens: int) -> int:
    """Bytes moved to read a prompt: the weights once for each step, the cache, and materialised scores.

    Eager scores are written and read in each of about three passes (scale, mask, softmax) as float32.
    """
    steps = -(-tokens // (deployment.chunk or tokens))
    traffic = steps * architecture.stored_bytes + cache_bytes(architecture, deployment, tokens)
    if deployment.attention is not AttentionKernel.EAGER:
        return traffic
    heads = sum(layer.heads * count for layer, count in architecture.require_layers() if layer.has_attention)
    return traffic + 6 * 4 * heads * materialised_pairs(tokens, deployment.chunk)


def materialised_pairs(tokens: int, chunk: int | None) -> int:
    """Scores of one head that eager attention materialises: each step's tokens times all keys so far.

    n^2 for a prompt read whole; in k whole steps of c and a rest r, c^2 k(k + 1) / 2 + r n.
    """
    whole, rest = divmod(tokens, chunk or tokens)
    step = chunk or tokens
    return step * step * whole * (whole + 1) // 2 + rest * tokens


# --------------------------------------------------------------------------- seconds


def tokens_per_second(architecture: Architecture, deployment: Deployment, speed: Speed, tokens: int) -> float:
    """Tokens that one sequence is written at, after `tokens` of context."""
    operations = linear_flops(architecture, 1) + head_flops(architecture, 1)
    return 1 / speed.seconds(operations, decode_bytes(architecture, deployment, tokens))


@dataclass(frozen=True)
class RooflinePrefill:
    """Time to first token from a machine's speed."""

    architecture: Architecture
    deployment: Deployment
    speed: Speed

    @property
    def reason(self) -> str:
        """Where the seconds come from."""
        return self.speed.reason

    def seconds(self, tokens: int) -> float:
        """Seconds from the prompt's arrival to the first token; nothing loaded, no prefix cached."""
        eager = self.deployment.attention is AttentionKernel.EAGER
        operations = prefill_flops(self.architecture, tokens, skips_masked=not eager)
        return self.speed.seconds(operations, prefill_bytes(self.architecture, self.deployment, tokens))


@dataclass(frozen=True)
class CalibratedPrefill:
    """Time to first token as a + b n + c n^2, from timed prompts of the real model.

    The linear term is the matrices, the quadratic one attention, the constant whatever a request costs
    before it starts.
    """

    constant: float
    linear: float
    quadratic: float
    reason: str

    def seconds(self, tokens: int) -> float:
        """Seconds from the prompt's arrival to the first token."""
        return self.constant + self.linear * tokens + self.quadratic * tokens * tokens


@dataclass(frozen=True, slots=True)
class TimedPrompt:
    """One measurement: the first token of a prompt of `tokens` tokens came after `seconds`."""

    tokens: int
    seconds: float


def calibrate_prefill(
    first: TimedPrompt, second: TimedPrompt, architecture: Architecture | None = None
) -> CalibratedPrefill:
    """The two coefficients of b n + c n^2 from two timed prompts of different length.

    Solving both equations gives c = (t2/n2 - t1/n1) / (n2 - n1) and b = t1/n1 - c n1. Where noise or a fixed
    cost makes c negative (the longer prompt was cheaper a token), the quadratic term is instead taken from
    the architecture's own ratio of attention to matrices, and what then remains of the shorter prompt's
    time, if positive, becomes the constant. Without an architecture that ratio is 0.

    Raises UsageError when the prompts do not differ or the longer did not take longer.
    """
    short, long = sorted((first, second), key=lambda prompt: prompt.tokens)
    if short.tokens < 1 or short.tokens == long.tokens or not 0 < short.seconds < long.seconds:
        raise UsageError(
            "two timed prompts must differ in length, and the longer must take longer",
            hint="time prompts of, say, 500 and 2,000 tokens",
        )
    timed = " and ".join(f"{prompt.tokens:,} in {prompt.seconds:.3g} s" for prompt in (short, long))
    reason = f"two timed prompts: {timed}"
    rates = short.seconds / short.tokens, long.seconds / long.tokens
    quadratic = (rates[1] - rates[0]) / (long.tokens - short.tokens)
    linear = rates[0] - quadratic * short.tokens
    if quadratic >= 0 and linear >= 0:
        return CalibratedPrefill(0.0, linear, quadratic, reason)
    ratio = _quadratic_share(architecture)
    shape = [prompt.tokens + ratio * prompt.tokens**2 for prompt in (short, long)]
    if quadratic < 0:
        linear = (long.seconds - short.seconds) / (shape[1] - shape[0])
        return CalibratedPrefill(max(0.0, short.seconds - linear * shape[0]), linear, ratio * linear, reason)
    return CalibratedPrefill(0.0, 0.0, long.seconds / long.tokens**2, reason)


def _quadratic_share(architecture: Architecture | None) -> float:
    """The ratio c / b by operations: attention without a window, 2 L H d n^2, over matrices, 2 N n."""
    if architecture is None or not architecture.is_known or not architecture.active_parameters:
        return 0.0
    per_pair = sum(
        count * (layer.key_dimension + layer.value_dimension) * layer.heads
        for layer, count in architecture.layer_groups
        if layer.has_attention and layer.window is None
    )
    return per_pair / 2 / architecture.active_parameters
