import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeEngine } from "../conformance.ts";
import type { InferenceEngine } from "../engine.ts";
import { createLlamaEngine } from "../llama/llamaEngine.ts";
import { createOpenAiEngine, type OpenAiEngine } from "./openaiEngine.ts";
import { serveSglang, serveVllm, type VllmSettings, type WireServer } from "./testing/wireServers.ts";

const modelPath = new URL("../../../../models/karat-tiny-f16.gguf", import.meta.url).pathname;

let llama: InferenceEngine;
const servers: WireServer[] = [];
beforeAll(async () => {
  llama = await createLlamaEngine({ modelPath, id: "behind", sequences: 8 });
});
afterAll(async () => {
  for (const server of servers) await server.close();
  await llama?.close();
});

const connect = async (starting: Promise<WireServer>): Promise<OpenAiEngine> => {
  const server = await starting;
  servers.push(server);
  return createOpenAiEngine({ baseUrl: `${server.url}/v1`, modelPath, id: "karat-tiny" });
};
const vllm = (settings: Partial<VllmSettings> = {}): Promise<OpenAiEngine> =>
  connect(serveVllm(llama, { maxLogprobs: 64, plugin: false, ...settings }));

describeEngine("vLLM's wire", () => vllm());
describeEngine("vLLM's wire with the plug-in", () => vllm({ plugin: true }));
describeEngine("SGLang's wire", () => connect(serveSglang(llama)));

describe("an inference server", () => {
  it("is recognised, with what it can", async () => {
    const plain = await vllm();
    expect(plain.server).toBe("vllm");
    expect(plain.capabilities).toMatchObject({ generation: "call_per_token", scoring: "one_prefill" });
    expect((await vllm({ plugin: true })).capabilities.generation).toBe("plugin");
    expect((await connect(serveSglang(llama))).server).toBe("sglang");
  });

  it("has the model's identity from its files, and renders as the embedded engine does", async () => {
    const engine = await vllm();
    const { weightsSha256, quantization, vocabularySize } = llama.info();
    expect(engine.info()).toMatchObject({ weightsSha256, quantization, vocabularySize, engine: "vllm" });
    expect(engine.vocabulary.stopTokenIds).toEqual(llama.vocabulary.stopTokenIds);
    for (const messages of [
      [{ role: "user", content: "What does os.path.join() do?" }],
      [
        { role: "system", content: "Be brief.\n" },
        { role: "user", content: " naïve €5" },
        { role: "assistant", content: "Yes." },
        { role: "user", content: "Why?" },
      ],
    ] as const) {
      expect(await engine.render({ messages })).toEqual(await llama.render({ messages }));
    }
  });

  it("is refused when it lacks a setting, when it is another kind, and when nobody answers", async () => {
    await expect(vllm({ maxLogprobs: 20 })).rejects.toMatchObject({ code: "engine_unsupported" });
    const other = await serveSglang(llama);
    servers.push(other);
    const at = (baseUrl: string) => createOpenAiEngine({ baseUrl, modelPath, id: "x" });
    await expect(at(`${other.url}/elsewhere`)).rejects.toMatchObject({ code: "engine_unknown" });
    await expect(at("http://127.0.0.1:1")).rejects.toMatchObject({ code: "engine_unavailable" });
    const missing = createOpenAiEngine({ baseUrl: other.url, modelPath: "/nowhere", id: "x" });
    await expect(missing).rejects.toMatchObject({ code: "invalid_model_files" });
  });
});
