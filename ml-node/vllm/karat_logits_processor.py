"""vLLM plug-in: a request that carries a Karat seed gets the tokens that the seed demands.

    vllm serve MODEL --logits-processors karat_logits_processor:KaratLogitsProcessor --max-logprobs 64

A request asks for it by `vllm_xargs`: {"karat_seed": 64 hex digits, "karat_sampling": JSON of the six sampling
parameters, "karat_position": how many of the prompt's last tokens belong to the answer already}. It is sent with temperature 0: every logit but the demanded
token's becomes -inf, so that the engine's own argmax takes it. The log-probabilities that vLLM reports stay raw
(`--logprobs-mode raw_logprobs`, its default).

Written for vLLM's v1 engine (`vllm.v1.sample.logits_processor`, 0.11 and later).
"""

import json
from collections import Counter

from karat_sampling import MAX_TOP_K, SamplingParams, sample
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor


def parse(extra_args):
    """(seed, sampling, first position) of a request, None without a seed. Raises ValueError on a malformed one."""
    if not extra_args or "karat_seed" not in extra_args:
        return None
    seed = bytes.fromhex(str(extra_args["karat_seed"]))
    if len(seed) != 32:
        raise ValueError("karat: karat_seed must be 32 bytes in hex")
    position = extra_args.get("karat_position", 0)
    if isinstance(position, bool) or not isinstance(position, (int, float)) or position != int(position) or position < 0:
        raise ValueError("karat: karat_position must be a whole number")
    return seed, SamplingParams.of(json.loads(str(extra_args["karat_sampling"]))), int(position)


class SeedBound:
    """Chooses the tokens of one request. vLLM calls it with the ids so far and a row of logits."""

    def __init__(self, seed, params, first_position):
        self._seed = seed
        self._params = params
        self._first = first_position
        self._counts = None
        self._seen = 0

    def __call__(self, prompt_ids, output_ids, logits):
        if self._counts is None:
            self._counts = Counter(int(token) for token in prompt_ids[len(prompt_ids) - self._first :])
        for token in output_ids[self._seen :]:
            self._counts[int(token)] += 1
        self._seen = len(output_ids)
        values, tokens = logits.topk(min(MAX_TOP_K, logits.shape[-1]))
        pairs = list(zip(tokens.tolist(), values.float().tolist()))
        chosen = sample(self._params, self._seed, self._first + self._seen, pairs, self._counts)
        kept = logits[chosen].clone()
        logits.fill_(float("-inf"))
        logits[chosen] = kept
        return logits


class KaratLogitsProcessor(AdapterLogitsProcessor):
    @classmethod
    def validate_params(cls, params):
        parse(params.extra_args)

    def is_argmax_invariant(self):
        return False

    def new_req_logits_processor(self, params):
        request = parse(params.extra_args)
        return None if request is None else SeedBound(*request)
