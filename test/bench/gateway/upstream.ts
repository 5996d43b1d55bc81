/**
 * An ML node that computes nothing: the same answer to every request at once, as an OpenAI server (`/v1/chat/completions`) and as a Karat ML
 * node (`/karat/v1/…`). Run as a process of its own: `node upstream.ts <port>…`; prints a line when it listens on all of them.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { sha256, toBase64, toHex, utf8 } from "@karat/common";
import { SSE_DONE, SSE_HEADERS, sseEvent } from "@karat/common/openai";
import { encodeArtifact } from "@karat/rules";
import { MODEL, PROMPT_TOKENS } from "./settings.ts";

const WORDS = ["The", " function", " renames", " a", " file", " or", " directory", "."];
const wordAt = (i: number): string => WORDS[i % WORDS.length]!;
const header = { id: "chatcmpl-bench", created: 1_700_000_000, model: MODEL };

/** Everything said for an answer of so many tokens, made once. */
interface Script {
  readonly whole: string;
  readonly chunks: readonly string[];
  readonly lines: readonly string[];
  readonly end: (inferenceId: unknown) => string;
}
const scripts = new Map<number, Script>();

function scriptOf(count: number): Script {
  const known = scripts.get(count);
  if (known) return known;
  const ids = Array.from({ length: count }, (_, i) => i % WORDS.length);
  const text = ids.map(wordAt).join("");
  const usage = { prompt_tokens: PROMPT_TOKENS, completion_tokens: count, total_tokens: PROMPT_TOKENS + count };
  const message = { role: "assistant", content: text, refusal: null };
  const whole = {
    ...header,
    object: "chat.completion",
    choices: [{ index: 0, message, logprobs: null, finish_reason: "stop" }],
    usage,
  };
  const chunk = (delta: object, finish_reason: string | null): string =>
    sseEvent({
      ...header,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, logprobs: null, finish_reason }],
    });
  const artifact = encodeArtifact(
    ids.map((id) => ({ id, top: [{ id, logprob: -0.5 }] })),
    { step: "1/16", k: 3 },
  );
  const line = (value: object): string => `${JSON.stringify(value)}\n`;
  const script: Script = {
    whole: JSON.stringify(whole),
    chunks: [
      chunk({ role: "assistant", content: "" }, null),
      ...ids.map((id) => chunk({ content: wordAt(id) }, null)),
      chunk({}, "stop"),
    ],
    lines: ids.map((id) => {
      const token = { id, token: wordAt(id), bytes: [...utf8(wordAt(id))], logprob: -0.5 };
      return line({ type: "token", ...token, text: wordAt(id), top: [token] });
    }),
    end: (inferenceId) =>
      line({
        type: "end",
        finish_reason: "stop",
        usage: { prompt_tokens: PROMPT_TOKENS, completion_tokens: count },
        token_ids: ids,
        text,
        output_hash: toHex(sha256(utf8(text))),
        artifact: toBase64(artifact),
        artifact_root: toHex(sha256(utf8(`artifact ${String(inferenceId)}`))),
      }),
  };
  scripts.set(count, script);
  return script;
}

const LOADED = {
  id: MODEL,
  weights_sha256: "00".repeat(32),
  quantization: "f16",
  context_length: 1_024,
  vocabulary_size: 2_048,
  engine: "mock",
  build: "1",
  capacity: 256,
};

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const body = (pieces.length === 0 ? {} : JSON.parse(Buffer.concat(pieces).toString("utf8"))) as Record<
    string,
    unknown
  >;
  const json = (text: string): void => {
    response
      .writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
      .end(text);
  };
  if (request.url === "/karat/v1/models") return json(JSON.stringify({ models: [LOADED] }));
  if (request.url === "/karat/v1/tokenize") return json(JSON.stringify({ count: PROMPT_TOKENS }));
  if (request.method === "GET") return json("{}");
  const script = scriptOf(Number(body.max_tokens));
  if (request.url === "/karat/v1/generate") {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.write(
      `${JSON.stringify({ type: "start", prompt_tokens: PROMPT_TOKENS, prompt_hash: "00".repeat(32) })}\n`,
    );
    // Tokens of an answer that nobody reads before it is whole wait for each other, as an ML node has them: these come faster than it lets them wait.
    const together = body.stream === false;
    await each(together ? undefined : response, script.lines);
    response.end((together ? script.lines.join("") : "") + script.end(body.inference_id));
  } else if (body.stream === true) {
    response.writeHead(200, SSE_HEADERS);
    await each(response, script.chunks);
    response.end(SSE_DONE);
  } else {
    await each(undefined, script.lines);
    json(script.whole);
  }
}

/** Each piece in a turn of its own, as tokens come: a whole answer takes as long, whoever asks for it; and told apart, they are pieces on the wire. */
async function each(response: ServerResponse | undefined, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    response?.write(piece);
    await new Promise(setImmediate);
  }
}

for (const port of process.argv.slice(2)) {
  const server = createServer((request, response) => void serve(request, response));
  server.keepAliveTimeout = 65_000;
  server.listen(Number(port), "127.0.0.1");
  await once(server, "listening");
}
process.stdout.write("listening\n");
