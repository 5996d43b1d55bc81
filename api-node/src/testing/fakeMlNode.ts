import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fromHex, sha256, toBase64, toHex, utf8 } from "@karat/common";
import { type ArtifactCoding, encodeArtifact, encodeVectors, unitVector, vectorsRoot } from "@karat/rules";
import { TEST_DIMENSIONS, TEST_MODEL } from "./fakeView.ts";

const CODING: ArtifactCoding = { step: "1/16", k: 3 };

/** What the ML node does with its next answers; change it between requests. */
export interface MlScript {
  tokens: string[];
  /** Pause before each token. */
  delayMs: number;
  /** Pause before it tells how long a prompt is, which the executor's receipt waits for. */
  tokenizeMs?: number | undefined;
  /** Tokens that its template adds to every prompt. */
  templateTokens?: number | undefined;
  /** Cut the connection after so many tokens. */
  dieAfter?: number | undefined;
  /** Tell an error in the stream after so many tokens. */
  failAfter?: number | undefined;
  /** Write something that is no line of the protocol after so many tokens. */
  garbleAfter?: number | undefined;
  /** Say nothing more after so many tokens, and do not end. */
  hangAfter?: number | undefined;
  /** Refuse with this status and code. */
  refuse?: { status: number; code: string } | undefined;
  /** Pause before it refuses. */
  refuseMs?: number | undefined;
  /** Claim another text than that of the tokens. */
  claim?: string | undefined;
  /** The vectors that it gives, when they are not those of the texts. */
  embed?: ((input: readonly string[]) => Float32Array[]) | undefined;
  /** The end of an embedding as it gives it, when that is not the right one. */
  spoil?: ((end: EmbeddingEnd) => object) | undefined;
  /** How it says that the answer ended. */
  finish: "stop" | "length" | "stop_sequence" | "cancelled";
}

export type EmbeddingEnd = ReturnType<typeof embeddingEnd>;

/** An ML node that answers by script, over loopback; texts are embedded as what their hashes say. */
export class FakeMlNode {
  readonly script: MlScript;
  url = "";
  /** Answers begun, and those whose reader left before the end. */
  begun = 0;
  cancelled = 0;
  /** Prompts whose tokens it was asked to count. */
  counted = 0;
  /** Connections ever made to it. */
  connections = 0;
  readonly bodies: Record<string, unknown>[] = [];
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  private constructor(script: Partial<MlScript>) {
    this.script = { tokens: ["Hel", "lo", " world", ""], delayMs: 0, finish: "stop", ...script };
  }

  static async start(script: Partial<MlScript> = {}): Promise<FakeMlNode> {
    const node = new FakeMlNode(script);
    node.#server.on("connection", () => node.connections++);
    node.#server.listen(0, "127.0.0.1");
    await once(node.#server, "listening");
    node.url = `http://127.0.0.1:${(node.#server.address() as AddressInfo).port}`;
    return node;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString("utf8"));
    if (request.url === "/karat/v1/models") return json(response, 200, { models: [MODEL] });
    if (request.url === "/karat/v1/tokenize") {
      await sleep(this.script.tokenizeMs ?? 0);
      this.counted++;
      const { input } = body as { input?: string[] };
      const counts = input?.map((text) => this.#promptTokens({ prompt: text }));
      return json(response, 200, { count: this.#promptTokens(body), ...(counts ? { counts } : {}) });
    }
    const { refuse } = this.script;
    if (refuse) await sleep(this.script.refuseMs ?? 0);
    if (refuse) return json(response, refuse.status, { error: { code: refuse.code, message: "by script" } });
    await this.#generate(body, response);
  }

  async #generate(body: Record<string, unknown>, response: ServerResponse): Promise<void> {
    this.begun++;
    this.bodies.push(body);
    let gone = false;
    response.once("close", () => {
      if (response.writableEnded || gone) return;
      gone = true;
      this.cancelled++;
    });
    const { tokenizeMs, delayMs, dieAfter, failAfter, garbleAfter, hangAfter, claim, finish } = this.script;
    const { input } = body as { input?: string[] };
    const tokens = input ? [] : this.script.tokens;
    if (tokenizeMs !== undefined) await sleep(tokenizeMs);
    if (gone) return;
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    const line = (value: object): boolean => response.write(`${JSON.stringify(value)}\n`);
    line({ type: "start", prompt_tokens: this.#promptTokens(body), prompt_hash: "00".repeat(32) });
    const prefix = (body.prefix_token_ids ?? []) as number[];
    for (const [i, text] of [...tokens, undefined].entries()) {
      if (i < prefix.length) continue;
      if (hangAfter === i) return;
      if (garbleAfter === i) response.write("<html>not found</html>\n");
      if (failAfter === i) {
        line({ type: "error", error: { code: "engine_failed", message: "by script" } });
        response.end();
        return;
      }
      if (dieAfter === i) {
        await sleep(20); // what was written before it dies does arrive
        gone = true;
        response.destroy();
        return;
      }
      if (text === undefined) break;
      if (delayMs > 0) await sleep(delayMs);
      if (gone) return;
      const bytes = [...utf8(text)];
      const top = [{ id: i, token: text, bytes, logprob: -0.5 }];
      line({ type: "token", id: i, token: text, text, bytes, logprob: -0.5, top });
    }
    if (input) {
      const vectors = this.script.embed?.(input) ?? input.map(vectorOf);
      const end = embeddingEnd(String(body.inference_id), vectors, this.#promptTokens(body));
      line(this.script.spoil?.(end) ?? end);
      response.end();
      return;
    }
    const text = claim ?? tokens.slice(prefix.length).join("");
    line({
      type: "end",
      finish_reason: finish,
      usage: { prompt_tokens: this.#promptTokens(body), completion_tokens: tokens.length - prefix.length },
      token_ids: tokens.map((_, i) => i).slice(prefix.length),
      text,
      output_hash: toHex(sha256(utf8(text))),
      artifact: toBase64(
        encodeArtifact(tokens.map((_, id) => ({ id, top: [{ id, logprob: -0.5 }] })).slice(prefix.length), CODING),
      ),
      artifact_root: toHex(sha256(utf8(`artifact ${String(body.inference_id)}`))),
    });
    response.end();
  }

  /** One for each four bytes. */
  #promptTokens(body: Record<string, unknown>): number {
    const { input } = body as { input?: string[] };
    if (input) return input.reduce((sum, text) => sum + this.#promptTokens({ prompt: text }), 0);
    const prompt = JSON.stringify(body.messages ?? body.prompt ?? "");
    const prefix = (body.prefix_token_ids ?? []) as number[];
    return Math.ceil(prompt.length / 4) + (this.script.templateTokens ?? 0) + prefix.length;
  }
}

/** The vector that a text is embedded as. */
export const vectorOf = (text: string): Float32Array =>
  unitVector(Array.from(sha256(utf8(text)).subarray(0, TEST_DIMENSIONS), (byte) => byte - 127.5));

function embeddingEnd(inferenceId: string, vectors: readonly Float32Array[], promptTokens: number) {
  const artifact = encodeVectors(vectors);
  const promptHash = new Uint8Array(32);
  const commitment = { inferenceId: fromHex(inferenceId), promptHash, dimensions: TEST_DIMENSIONS, artifact };
  return {
    type: "end",
    finish_reason: "length",
    usage: { prompt_tokens: promptTokens, completion_tokens: vectors.length },
    token_ids: vectors.map((_, i) => i),
    text: "",
    output_hash: toHex(sha256(utf8(""))),
    artifact: toBase64(artifact),
    artifact_root: toHex(vectorsRoot(commitment)),
  };
}

const MODEL = {
  id: TEST_MODEL,
  weights_sha256: "00".repeat(32),
  quantization: "f16",
  context_length: 1_024,
  vocabulary_size: 300,
  engine: "script",
  build: "1",
  capacity: 4,
  embedding: { dimensions: TEST_DIMENSIONS },
};

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
