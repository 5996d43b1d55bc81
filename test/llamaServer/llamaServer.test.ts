import { DEFAULT_SAMPLING } from "@karat/rules";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collect } from "../../ml-node/src/collect.ts";
import { describeEngine } from "../../ml-node/src/engine/conformance.ts";
import { createLlamaEngine } from "../../ml-node/src/engine/llama/llamaEngine.ts";
import { createOpenAiEngine } from "../../ml-node/src/engine/openai/openaiEngine.ts";
import { builtLlamaServer, type RunningServer, startLlamaServer } from "./llamaServer.ts";

const modelPath = new URL("../../models/karat-tiny-f16.gguf", import.meta.url).pathname;

let server: RunningServer;
beforeAll(async () => {
  server = await startLlamaServer(await builtLlamaServer(), modelPath);
}, 1_900_000);
afterAll(() => server?.close());

const connect = () => createOpenAiEngine({ baseUrl: server.url, modelPath, id: "karat-tiny" });

describeEngine("a real llama-server", connect);

describe("a real llama-server beside the embedded engine", () => {
  it("is recognised", async () => {
    const engine = await connect();
    expect(engine.server).toBe("llama-server");
    expect(engine.capabilities).toEqual({
      generation: "call_per_token",
      scoring: "call_per_token",
      checks: ["D", "G"],
    });
    expect(engine.info().contextLength).toBeGreaterThan(500);
  });

  it("writes, for one seed, what the embedded engine finds demanded and likely", async () => {
    const embedded = await createLlamaEngine({ modelPath, id: "karat-tiny" });
    try {
      const engine = await connect();
      const messages = [{ role: "user", content: "What does os.rename() do?" }] as const;
      const promptIds = await engine.render({ messages });
      expect(promptIds).toEqual(await embedded.render({ messages }));
      const job = { promptIds, maxTokens: 40, sampling: DEFAULT_SAMPLING, seed: new Uint8Array(32).fill(6), top: 5 };
      const tokens = await collect(engine.generate(job));
      const positions = await embedded.score({ promptIds, outputIds: tokens.map(({ id }) => id), top: 64 });
      const differences = tokens.map(({ id, logprob }, i) =>
        Math.abs(logprob - positions[i]!.find((entry) => entry.id === id)!.logprob),
      );
      // The honest noise of f16 between two ways of computing it is some 0.0006 nats.
      expect(differences.reduce((sum, each) => sum + each, 0) / differences.length).toBeLessThan(0.01);
    } finally {
      await embedded.close();
    }
  });
});
