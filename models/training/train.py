#!/usr/bin/env python3
"""Trains a small model of the llama architecture on the token files of encodeCorpus.ts (PyTorch 2, CPU).

The shipped models:  train.py --d 160 --layers 5 --heads 5 --kv 1 --ff 448 --minutes 30 --out karat-tiny
                     train.py --d 96  --layers 3 --heads 3 --kv 1 --ff 256 --minutes 14 --out karat-mini
Writes <out>.f32 (weights, little-endian) and <out>.json (hyperparameters, shapes, offsets) for makeGguf.ts.
"""

import argparse
import json
import math
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

CONTEXT_LENGTH = 1024  # declared in the GGUF file; training windows are --seq long


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--d", type=int, default=192)
    p.add_argument("--layers", type=int, default=6)
    p.add_argument("--heads", type=int, default=6)
    p.add_argument("--kv", type=int, default=2)
    p.add_argument("--ff", type=int, default=512)
    p.add_argument("--vocab", type=int, default=2048)
    p.add_argument("--seq", type=int, default=256)
    p.add_argument("--bs", type=int, default=16)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--minutes", type=float, default=20)
    p.add_argument("--chat", type=float, default=0.25, help="share of each batch taken from the dialogues")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--out", default="model")
    return p.parse_args()


class RMSNorm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-5)


class Rope(nn.Module):
    """Interleaved pairs: the rotation of llama.cpp's `llama` architecture, so that no permutation is needed."""

    def __init__(self, head_dim, length):
        super().__init__()
        frequencies = 1.0 / (10000.0 ** (torch.arange(0, head_dim, 2).float() / head_dim))
        angles = torch.outer(torch.arange(length).float(), frequencies)
        self.register_buffer("cos", angles.cos()[None, None], persistent=False)
        self.register_buffer("sin", angles.sin()[None, None], persistent=False)

    def forward(self, x):
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack((even * self.cos - odd * self.sin, even * self.sin + odd * self.cos), -1).flatten(-2)


class Block(nn.Module):
    def __init__(self, a, rope):
        super().__init__()
        self.heads, self.kv, self.head_dim, self.rope = a.heads, a.kv, a.d // a.heads, rope
        self.attn_norm, self.ffn_norm = RMSNorm(a.d), RMSNorm(a.d)
        self.q = nn.Linear(a.d, a.d, bias=False)
        self.k = nn.Linear(a.d, a.kv * self.head_dim, bias=False)
        self.v = nn.Linear(a.d, a.kv * self.head_dim, bias=False)
        self.o = nn.Linear(a.d, a.d, bias=False)
        self.gate = nn.Linear(a.d, a.ff, bias=False)
        self.up = nn.Linear(a.d, a.ff, bias=False)
        self.down = nn.Linear(a.ff, a.d, bias=False)

    def forward(self, x):
        batch, length, width = x.shape

        def split(y, heads):
            return y.view(batch, length, heads, self.head_dim).transpose(1, 2)

        h = self.attn_norm(x)
        q = self.rope(split(self.q(h), self.heads))
        repeat = self.heads // self.kv
        k = self.rope(split(self.k(h), self.kv)).repeat_interleave(repeat, 1)
        v = split(self.v(h), self.kv).repeat_interleave(repeat, 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, length, width)
        x = x + self.o(y)
        h = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Model(nn.Module):
    def __init__(self, a):
        super().__init__()
        rope = Rope(a.d // a.heads, a.seq)
        self.emb = nn.Embedding(a.vocab, a.d)
        self.blocks = nn.ModuleList(Block(a, rope) for _ in range(a.layers))
        self.norm = RMSNorm(a.d)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                residual = name.endswith(("o.weight", "down.weight"))
                nn.init.normal_(weight, 0, 0.02 / (math.sqrt(2 * a.layers) if residual else 1))

    def forward(self, ids):
        h = self.emb(ids)
        for block in self.blocks:
            h = block(h)
        return F.linear(self.norm(h), self.emb.weight)  # tied embeddings


class Data:
    def __init__(self, a):
        self.seq, self.batch_size, self.chat_share = a.seq, a.bs, a.chat
        self.rng = np.random.default_rng(a.seed)
        self.text = np.memmap("text.bin", dtype=np.uint16)
        self.chat, self.val, self.chat_val = (
            np.fromfile(name, dtype=np.uint16) for name in ("chat.bin", "val.bin", "chatval.bin")
        )

    def windows(self, source, count, rng):
        starts = rng.integers(0, len(source) - self.seq - 1, count)
        rows = np.stack([source[i : i + self.seq + 1] for i in starts]).astype(np.int64)
        rows = torch.from_numpy(rows)
        return rows[:, :-1], rows[:, 1:]

    def batch(self):
        chat = int(round(self.batch_size * self.chat_share))
        x1, y1 = self.windows(self.text, self.batch_size - chat, self.rng)
        x2, y2 = self.windows(self.chat, chat, self.rng)
        return torch.cat([x1, x2]), torch.cat([y1, y2])


def loss_of(model, x, y):
    return F.cross_entropy(model(x).flatten(0, 1), y.reshape(-1))


def evaluate(model, data, source):
    """Mean loss (nat/token) of six fixed batches."""
    rng = np.random.default_rng(0)
    model.eval()
    with torch.no_grad():
        losses = [loss_of(model, *data.windows(source, 16, rng)).item() for _ in range(6)]
    model.train()
    return sum(losses) / len(losses)


def save(model, a, name):
    tensors = {"token_embd.weight": model.emb.weight, "output_norm.weight": model.norm.weight}
    for i, b in enumerate(model.blocks):
        parts = {
            "attn_norm": b.attn_norm,
            "attn_q": b.q,
            "attn_k": b.k,
            "attn_v": b.v,
            "attn_output": b.o,
            "ffn_norm": b.ffn_norm,
            "ffn_gate": b.gate,
            "ffn_up": b.up,
            "ffn_down": b.down,
        }
        tensors |= {f"blk.{i}.{part}.weight": layer.weight for part, layer in parts.items()}
    offset, index = 0, []
    with open(name + ".f32", "wb") as out:
        for tensor_name, tensor in tensors.items():
            array = tensor.detach().float().contiguous().numpy()
            out.write(array.tobytes())
            index.append({"name": tensor_name, "shape": list(array.shape), "offset": offset})
            offset += array.nbytes
    hparams = {"d": a.d, "layers": a.layers, "heads": a.heads, "kv": a.kv, "ff": a.ff, "vocab": a.vocab}
    with open(name + ".json", "w", encoding="utf-8") as out:
        json.dump({"hparams": hparams | {"ctx": CONTEXT_LENGTH}, "tensors": index}, out)


def main():
    a = arguments()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    data, model = Data(a), Model(a)
    print("parameters", sum(p.numel() for p in model.parameters()), flush=True)
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() != 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0}]
    optimizer = torch.optim.AdamW(groups, lr=a.lr, betas=(0.9, 0.95), fused=True)

    started, step, total = time.time(), 0, a.minutes * 60
    while (elapsed := time.time() - started) < total:
        # Linear warm-up over 100 steps, then cosine in wall time down to 5 %.
        cosine = 0.5 * (1 + math.cos(math.pi * elapsed / total))
        rate = a.lr * min(1, (step + 1) / 100) * (0.05 + 0.95 * cosine)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of(model, *data.batch())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 100 == 0:
            speed = step * a.bs * a.seq / (time.time() - started)
            print(f"{step} {elapsed:.0f}s loss {loss.item():.3f} tok/s {speed:.0f} lr {rate:.5f}", flush=True)
        if step % 500 == 0:
            save(model, a, a.out + "-ckpt")
    tokens = step * a.bs * a.seq
    losses = evaluate(model, data, data.val), evaluate(model, data, data.chat_val)
    print(f"final text {losses[0]:.3f} chat {losses[1]:.3f} steps {step} tokens {tokens}", flush=True)
    save(model, a, a.out)


if __name__ == "__main__":
    main()
