"""Seed-bound sampling, as `@karat/rules` defines it (chain/rules/src/sampling.ts): bit for bit the same choices.

Pure Python on IEEE doubles and SHA-256: the order of every operation is part of the definition, and
`chain/rules/vectors/sampling.json` is the judge. Nothing here knows vLLM.
"""

import hashlib
import math
import struct
from dataclasses import dataclass

MICROS = 1_000_000
MAX_TOP_K = 64
# Above -ln(-ln(1 - 2**-53)).
_MAX_GUMBEL = 37.0
_LN2_HIGH = 2977044471 / 4294967296
_LN2_LOW = 1.9082149292705877e-10
_INVERSE_LN2 = 1.4426950408889634
_SQRT2 = 1.4142135623730951

_BOUNDS = {
    "temperatureMicros": (0, 2 * MICROS),
    "topK": (1, MAX_TOP_K),
    "topPMicros": (0, MICROS),
    "minPMicros": (0, MICROS),
    "frequencyPenaltyMicros": (-2 * MICROS, 2 * MICROS),
    "presencePenaltyMicros": (-2 * MICROS, 2 * MICROS),
}


@dataclass(frozen=True)
class SamplingParams:
    """How a token is chosen; fractions are integers in millionths."""

    temperatureMicros: int
    topK: int
    topPMicros: int
    minPMicros: int
    frequencyPenaltyMicros: int
    presencePenaltyMicros: int

    @staticmethod
    def of(values):
        """From a mapping with exactly these names. Raises ValueError with the name of what is wrong."""
        if set(values) != set(_BOUNDS):
            raise ValueError("karat: sampling must have exactly " + ", ".join(_BOUNDS))
        for name, (least, most) in _BOUNDS.items():
            value = values[name]
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"karat: {name} must be an integer from {least} to {most}")
        return SamplingParams(**values)


def ln(x):
    """ln x for a normal x > 0: the series of chain/rules/src/elementary.ts."""
    bits = struct.unpack(">Q", struct.pack(">d", x))[0]
    exponent = (bits >> 52) - 1023
    m = struct.unpack(">d", struct.pack(">Q", (bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000))[0]
    if m > _SQRT2:
        m = m / 2
        exponent += 1
    f = m - 1
    s = f / (2 + f)
    z = s * s
    series = 0.0
    for n in range(21, 2, -2):
        series = series * z + 1 / n
    tail = 2 * z * series
    return exponent * _LN2_HIGH + (f - (s * (f - tail) - exponent * _LN2_LOW))


def exp(x):
    """e^x for -700 <= x <= 700, 0 below and capped above."""
    if x < -700:
        return 0.0
    bounded = 700.0 if x > 700 else x
    k = math.floor(bounded * _INVERSE_LN2 + 0.5)
    r = bounded - k * _LN2_HIGH - k * _LN2_LOW
    series = 1.0
    for n in range(14, 0, -1):
        series = 1 + (r * series) / n
    return series * struct.unpack(">d", struct.pack(">Q", (k + 1023) << 52))[0]


def gumbel(seed, position, token):
    """-ln(-ln u), u from the first 53 bits of SHA-256(seed, u32 position, u32 token), big-endian."""
    digest = hashlib.sha256(seed + struct.pack(">II", position, token)).digest()
    high, low = struct.unpack(">II", digest[:8])
    u = min((high * 2097152 + (low >> 11) + 0.5) / 9007199254740992, 1 - 1 / 9007199254740992)
    return -ln(-ln(u))


def sample(params, seed, position, logits, counts):
    """The token that the seed demands.

    logits: (token, raw logit) pairs, at least the `topK` highest. counts: token -> how often it is in the output already.
    """
    temperature = params.temperatureMicros / MICROS
    best_token = -1
    best_score = -math.inf
    for token, logit in _allowed(params, temperature, logits, counts):
        # Falling logits: once even the largest noise cannot win, nothing after can.
        if logit + temperature * _MAX_GUMBEL < best_score:
            break
        noise = gumbel(seed, position, token) if temperature != 0 else 0.0
        score = logit + temperature * noise
        if score > best_score or (score == best_score and token < best_token):
            best_token, best_score = token, score
    return best_token


def _allowed(params, temperature, logits, counts):
    """The tokens that may be chosen, by falling logit after penalties."""
    raw = sorted((pair for pair in logits if pair[1] != -math.inf), key=lambda pair: (-pair[1], pair[0]))
    if not raw:
        raise ValueError("karat: no token may be chosen")
    candidates = [(token, _penalised(params, token, logit, counts)) for token, logit in raw[: params.topK]]
    candidates.sort(key=lambda pair: (-pair[1], pair[0]))
    if temperature == 0 or (params.topPMicros == MICROS and params.minPMicros == 0):
        return candidates
    best = candidates[0][1]
    weights = [exp((logit - best) / temperature) for _, logit in candidates]
    total = 0.0
    for weight in weights:
        total += weight
    least = params.minPMicros / MICROS
    top_mass = (params.topPMicros / MICROS) * total
    kept = []
    mass = 0.0
    for i, candidate in enumerate(candidates):
        outside_top_p = params.topPMicros < MICROS and mass >= top_mass
        if i > 0 and (outside_top_p or weights[i] < least):
            break
        kept.append(candidate)
        mass += weights[i]
    return kept


def _penalised(params, token, logit, counts):
    count = counts.get(token, 0)
    if count == 0:
        return logit
    return logit - (params.presencePenaltyMicros + params.frequencyPenaltyMicros * count) / MICROS
