import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEFAULT_SAMPLING } from "@karat/rules";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collect } from "../../collect.ts";
import { describeEngine } from "../conformance.ts";
import type { GenerateJob } from "../engine.ts";
import { readGgufHeader } from "./gguf.ts";
import { createLlamaEngine, type LlamaEngine } from "./llamaEngine.ts";

const MODEL = new URL("../../../../models/karat-tiny-f16.gguf", import.meta.url).pathname;
const QUANTIZED = new URL("../../../../models/karat-tiny-q4_0.gguf", import.meta.url).pathname;

// A batch smaller than most prompts, so that pieces of a sequence are evaluated apart.
describeEngine("llama", () => createLlamaEngine({ modelPath: MODEL, id: "karat-tiny", batchSize: 64 }));

const job = (overrides: Partial<GenerateJob> = {}): GenerateJob => ({
  promptIds: [2043, 100, 101],
  maxTokens: 900,
  // Near-uniform choice among the allowed: seldom stops by itself.
  sampling: { ...DEFAULT_SAMPLING, temperatureMicros: 2_000_000 },
  seed: new Uint8Array(32).fill(1),
  top: 0,
  ...overrides,
});

describe("the engine's child process", () => {
  let engine: LlamaEngine;

  beforeAll(async () => {
    engine = await createLlamaEngine({ modelPath: MODEL, id: "karat-tiny", sequences: 2, maxWaiting: 1 });
  });
  afterAll(() => engine?.close());

  it("fails its jobs when it is killed, and serves the next one", async () => {
    let seen = 0;
    const interrupted = (async () => {
      for await (const _ of engine.generate(job())) if (++seen === 1) process.kill(engine.pid!, "SIGKILL");
    })();
    await expect(interrupted).rejects.toMatchObject({ code: "engine_died" });
    expect(seen).toBeGreaterThan(0);
    expect(await collect(engine.generate(job({ maxTokens: 5 })))).toHaveLength(5);
    expect(engine.restarts).toBe(1);
    expect(engine.load()).toEqual({ running: 0, waiting: 0 });
  });

  it("refuses jobs beyond its queue and forgets those that gave up waiting", async () => {
    const running = [1, 2].map((value) =>
      engine.generate(job({ seed: new Uint8Array(32).fill(value) }))[Symbol.asyncIterator](),
    );
    await Promise.all(running.map((tokens) => tokens.next()));
    const controller = new AbortController();
    const waiting = collect(engine.generate(job({ maxTokens: 1 }), controller.signal));
    const gaveUp = expect(waiting).rejects.toMatchObject({ code: "cancelled" });
    await expect(collect(engine.generate(job()))).rejects.toMatchObject({
      code: "overloaded",
      data: { retry_after_s: 1 },
    });
    controller.abort();
    await gaveUp;
    expect(engine.load()).toEqual({ running: 2, waiting: 0 });
    for (const tokens of running) await tokens.return?.();
    await expect.poll(() => engine.load()).toEqual({ running: 0, waiting: 0 });
  });
});

describe("a model that wants tokens around a text", () => {
  it("embeds what was rendered with them, and refuses what it would read otherwise", async () => {
    const directory = await mkdtemp(join(tmpdir(), "karat-gguf-"));
    const bytes = await readFile(MODEL);
    for (const key of ["tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token"]) {
      bytes.writeUInt8(1, bytes.indexOf(key) + key.length + 4); // behind the value's type
    }
    const modelPath = join(directory, "wants.gguf");
    await writeFile(modelPath, bytes);
    const engine = await createLlamaEngine({ modelPath, id: "wants" });
    try {
      const text = await engine.render({ prompt: "a" });
      const whole = await engine.render({ prompt: "a", whole: true });
      expect([text, whole]).toEqual([
        [2043, 97],
        [2043, 97, 2047],
      ]);
      expect(await engine.embed({ inputs: [whole] })).toHaveLength(1);
      await expect(engine.embed({ inputs: [text] })).rejects.toMatchObject({ code: "engine_failed" });
    } finally {
      await engine.close();
      await rm(directory, { recursive: true });
    }
  });
});

describe("model files", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "karat-gguf-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  const write = async (name: string, bytes: Uint8Array): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, bytes);
    return path;
  };

  it("reads the header of a good file", async () => {
    const header = await readGgufHeader(QUANTIZED);
    expect(header.metadata.get("general.architecture")).toBe("llama");
    expect(header.tensors.length).toBeGreaterThan(10);
  });

  it("refuses files that would abort the process", async () => {
    const good = await readFile(MODEL);
    const renamed = Buffer.from(good);
    // Without this key llama.cpp aborts: the key is there under another name.
    const at = renamed.indexOf("llama.feed_forward_length");
    renamed.write("X", at, "latin1");
    const bad = {
      empty: Buffer.alloc(0),
      text: Buffer.from("not a model"),
      truncated: good.subarray(0, good.length - 1_000_000),
      header_only: good.subarray(0, 2_000),
      missing_key: renamed,
    };
    for (const [name, bytes] of Object.entries(bad)) {
      const path = await write(`${name}.gguf`, bytes);
      await expect(createLlamaEngine({ modelPath: path, id: "bad" }), name).rejects.toMatchObject({
        code: "invalid_gguf",
      });
    }
    await expect(readGgufHeader(join(directory, "absent.gguf"))).rejects.toMatchObject({ code: "invalid_gguf" });
  });

  it("survives a header with any byte changed", async () => {
    const head = (await readFile(QUANTIZED)).subarray(0, 1_200);
    for (let i = 0; i < 300; i++) {
      const bytes = Buffer.from(head);
      bytes[(i * 37) % bytes.length]! ^= 1 << (i % 8);
      const path = await write("mutant.gguf", bytes);
      await expect(readGgufHeader(path)).rejects.toMatchObject({ code: "invalid_gguf" });
    }
  });
});
