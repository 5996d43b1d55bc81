/**
 * What answering several at once costs the embedded engine, against one after another:
 * `node test/bench/batching.ts [--model models/karat-tiny-f16.gguf] [--tokens 96] [--rounds 5] [--json out.json]`.
 * Each round generates the same eight answers with 1, 2, 4 and 8 of them at a time. Wall time, and CPU time of the engine's process, which a busy
 * machine does not distort; ratios are of the medians.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createLlamaEngine, type InferenceEngine } from "@karat/ml-node";
import { DEFAULT_SAMPLING } from "@karat/rules";

const ANSWERS = 8;
const WIDTHS = [1, 2, 4, 8] as const;
/** Clock ticks of /proc/<pid>/stat per second. */
const TICKS_PER_SECOND = 100;

const { values } = parseArgs({
  options: {
    model: {
      type: "string",
      default: fileURLToPath(new URL("../../models/karat-tiny-f16.gguf", import.meta.url)),
    },
    tokens: { type: "string", default: "96" },
    rounds: { type: "string", default: "5" },
    json: { type: "string" },
  },
});
const maxTokens = Number(values.tokens);
const engine = await createLlamaEngine({ modelPath: values.model, id: "bench", sequences: ANSWERS });
const stops = Object.fromEntries(engine.vocabulary.stopTokenIds.map((id) => [String(id), -100]));
const promptIds = await engine.render({ messages: [{ role: "user", content: "What does os.path.join() do?" }] });

async function answer(of: InferenceEngine, seed: number): Promise<number> {
  let tokens = 0;
  // No stop tokens: every answer has the same length.
  const job = { promptIds, maxTokens, sampling: DEFAULT_SAMPLING, seed: new Uint8Array(32).fill(seed), top: 5 };
  for await (const _ of of.generate({ ...job, constraint: { logit_bias: stops } })) tokens++;
  return tokens;
}

/** All answers, `width` at a time. */
async function round(width: number): Promise<{ wallMs: number; cpuMs: number; tokens: number }> {
  const [cpu, started] = [cpuMs(), performance.now()];
  let next = 0;
  let tokens = 0;
  const worker = async (): Promise<void> => {
    while (next < ANSWERS) {
      const made = await answer(engine, ++next);
      tokens += made;
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return { wallMs: performance.now() - started, cpuMs: cpuMs() - cpu, tokens };
}

function cpuMs(): number {
  const fields = readFileSync(`/proc/${engine.pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_SECOND;
}

const median = (list: readonly number[]): number => list.toSorted((a, b) => a - b)[list.length >> 1]!;

try {
  await round(ANSWERS); // warm
  const runs = new Map<number, { wallMs: number; cpuMs: number; tokens: number }[]>(WIDTHS.map((width) => [width, []]));
  for (let i = 0; i < Number(values.rounds); i++) for (const width of WIDTHS) runs.get(width)!.push(await round(width));
  const rows = WIDTHS.map((width) => {
    const list = runs.get(width)!;
    const { tokens } = list[0]!;
    return {
      width,
      tokensPerSecond: (tokens * 1_000) / median(list.map(({ wallMs }) => wallMs)),
      cpuMsPerToken: median(list.map((run) => run.cpuMs)) / tokens,
    };
  });
  const [serial] = rows;
  for (const { width, tokensPerSecond, cpuMsPerToken } of rows) {
    const faster = tokensPerSecond / serial!.tokensPerSecond;
    const cheaper = serial!.cpuMsPerToken / cpuMsPerToken;
    console.log(
      `${width} at once: ${tokensPerSecond.toFixed(0)} tokens/s (×${faster.toFixed(2)}), ${cpuMsPerToken.toFixed(3)} ms CPU a token (${cheaper.toFixed(2)} times as many per CPU second)`,
    );
  }
  if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 1)}\n`);
} finally {
  await engine.close();
}
