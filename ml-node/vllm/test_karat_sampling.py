"""`python3 -m unittest` in this folder: the vectors of @karat/rules, and the plug-in over a stand-in for a row of logits."""

import json
import pathlib
import struct
import sys
import types
import unittest
from collections import Counter

from karat_sampling import SamplingParams, gumbel, sample

VECTORS = json.loads((pathlib.Path(__file__).parents[2] / "chain/rules/vectors/sampling.json").read_text())


class Row:
    """What the plug-in uses of a one-dimensional tensor."""

    def __init__(self, values):
        self.values = list(values)
        self.shape = (len(self.values),)

    def topk(self, k):
        order = sorted(range(len(self.values)), key=lambda i: (-self.values[i], i))[:k]
        return Row(self.values[i] for i in order), Row(order)

    def float(self):
        return self

    def clone(self):
        return self

    def tolist(self):
        return list(self.values)

    def fill_(self, value):
        self.values = [value] * len(self.values)

    def __getitem__(self, i):
        return types.SimpleNamespace(clone=lambda value=self.values[i]: value)

    def __setitem__(self, i, value):
        self.values[i] = value


def plugin():
    """The plug-in's module, with a stand-in for vLLM's base class: vLLM itself needs a GPU build."""
    module = types.ModuleType("vllm.v1.sample.logits_processor")
    module.AdapterLogitsProcessor = object
    for name in ("vllm", "vllm.v1", "vllm.v1.sample"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules.setdefault("vllm.v1.sample.logits_processor", module)
    import karat_logits_processor

    return karat_logits_processor


class Vectors(unittest.TestCase):
    def test_noise_is_the_same_to_the_last_bit(self):
        for case in VECTORS["noise"]:
            value = gumbel(bytes.fromhex(case["seed"]), case["position"], case["id"])
            self.assertEqual(struct.pack(">d", value).hex(), case["gumbel"], case)
        self.assertGreater(len(VECTORS["noise"]), 10)

    def test_the_same_tokens_are_chosen(self):
        for case in VECTORS["samples"]:
            counts = Counter(dict(case["previous"]))
            logits = [tuple(pair) for pair in case["logits"]]
            chosen = sample(SamplingParams.of(case["params"]), bytes.fromhex(case["seed"]), case["position"], logits, counts)
            self.assertEqual(chosen, case["token"], case["params"])
        self.assertGreater(len(VECTORS["samples"]), 10)


class Plugin(unittest.TestCase):
    sampling = {
        "temperatureMicros": 900_000,
        "topK": 64,
        "topPMicros": 950_000,
        "minPMicros": 0,
        "frequencyPenaltyMicros": 500_000,
        "presencePenaltyMicros": 0,
    }

    def test_leaves_only_the_demanded_token(self):
        module = plugin()
        seed = bytes(range(32))
        processor = module.SeedBound(*module.parse({"karat_seed": seed.hex(), "karat_sampling": json.dumps(self.sampling), "karat_position": 7}))
        prompt, output = [9, 9] + [11] * 7, []
        counts = Counter({11: 7})
        for step in range(20):
            logits = [((i * 37 + step * 11) % 101) / 10 for i in range(300)]
            row = processor(prompt, output, Row(logits))
            left = [i for i, value in enumerate(row.values) if value != float("-inf")]
            expected = sample(SamplingParams.of(self.sampling), seed, 7 + step, sorted(enumerate(logits), key=lambda p: (-p[1], p[0]))[:64], counts)
            self.assertEqual(left, [expected])
            self.assertEqual(row.values[expected], logits[expected])
            output.append(expected)
            counts[expected] += 1

    def test_leaves_other_requests_alone_and_refuses_malformed_ones(self):
        module = plugin()
        self.assertIsNone(module.parse(None))
        self.assertIsNone(module.parse({"other": 1}))
        good = {"karat_seed": "00" * 32, "karat_sampling": json.dumps(self.sampling)}
        self.assertIsNotNone(module.parse(good))
        for bad in (
            {**good, "karat_seed": "00"},
            {**good, "karat_position": -1},
            {**good, "karat_position": True},
            {**good, "karat_sampling": json.dumps({**self.sampling, "topK": 65})},
            {**good, "karat_sampling": json.dumps({"topK": 1})},
        ):
            with self.assertRaises(ValueError):
                module.parse(bad)


if __name__ == "__main__":
    unittest.main()
