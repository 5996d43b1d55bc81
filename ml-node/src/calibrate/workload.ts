/** Seeded requests in the manner of what the small models were trained on: questions about commands and functions, openings of texts. */
import { BUCKET_STARTS, DEFAULT_SAMPLING, type SamplingParams } from "@karat/rules";
import type { PromptInput } from "../engine/engine.ts";

export interface WorkItem {
  input: PromptInput;
  maxTokens: number;
  sampling: SamplingParams;
  /** 32 bytes. */
  seed: Uint8Array;
}

/** mulberry32: 2^32 states are plenty for a workload, and it is the same everywhere. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const MODULES = [
  "os",
  "sys",
  "re",
  "json",
  "socket",
  "asyncio",
  "logging",
  "sqlite3",
  "email",
  "http.client",
  "pathlib",
  "typing",
  "decimal",
  "struct",
  "zlib",
  "ssl",
  "curses",
  "unittest",
  "xml.dom",
  "multiprocessing",
];
const VERBS = [
  "read",
  "write",
  "open",
  "close",
  "parse",
  "format",
  "encode",
  "decode",
  "split",
  "join",
  "connect",
  "send",
  "wait",
  "copy",
  "remove",
  "create",
  "update",
  "compile",
  "search",
  "load",
  "dump",
  "register",
  "lock",
  "flush",
  "seek",
];
const NOUNS = [
  "file",
  "path",
  "socket",
  "string",
  "buffer",
  "table",
  "module",
  "object",
  "stream",
  "thread",
  "event",
  "pattern",
  "record",
  "header",
  "name",
  "value",
  "process",
  "signal",
  "error",
  "line",
];
const COMMANDS = [
  "ls",
  "grep",
  "sed",
  "awk",
  "tar",
  "find",
  "chmod",
  "mount",
  "ps",
  "kill",
  "sort",
  "cut",
  "dd",
  "ssh",
  "cron",
  "passwd",
  "useradd",
  "ldd",
  "strace",
  "ip",
  "systemctl",
  "dpkg",
  "man",
  "login",
  "getent",
];
const OPENINGS = [
  "The following",
  "This function",
  "Returns a",
  "If the",
  "When a",
  "The default",
  "Note that",
  "A new",
  "Each",
  "You can",
  "In this",
  "By default",
  "The option",
  "Set the",
  "To use",
  "An object",
  "Changed in version",
  "This module",
  "The argument",
  "See also",
];
const TEMPERATURES = [0, 0.3, 0.5, 0.7, 0.7, 0.9, 1, 1, 1.2];

const EQUAL_SHARES: readonly number[] = BUCKET_STARTS.map(() => 1);
/** More short answers than long ones, as in traffic. */
export const TRAFFIC_SHARES: readonly number[] = [8, 7, 5, 3, 1, 1];
/** Lengths of the last bucket, which has no end. */
const LONGEST = 300;
/** Chats stop by themselves after a sentence or two; texts run on to the wanted length. */
const LONGEST_CHAT = 64;

export interface WorkloadOptions {
  /** Of each length bucket of a profile; equal where absent. */
  lengthShares?: readonly number[];
  /** Share of the texts that come behind a prompt of some hundred tokens; none where absent. Noise grows with the context. */
  longPrompts?: number;
}

/** An endless supply; the same seed and options give the same items. */
export function* workload(seed: number, options: WorkloadOptions = {}): Generator<WorkItem> {
  const { lengthShares: shares = EQUAL_SHARES, longPrompts = 0 } = options;
  const random = randomFrom(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const name = (): string => `${pick(MODULES)}.${pick(VERBS)}${random() < 0.4 ? `_${pick(NOUNS)}` : ""}()`;
  const question = (): string =>
    pick([
      () => `What does ${name()} do?`,
      () => `Explain ${name()}.`,
      () => `How do I use ${name()}?`,
      () => `What is the signature of ${name()}?`,
      () => `What does the ${pick(COMMANDS)} command do?`,
      () => `How do I ${pick(VERBS)} a ${pick(NOUNS)} in ${pick(["Python", "Perl", "the shell"])}?`,
      () => `Explain Perl's ${pick(VERBS)}.`,
      () => `${pick(["Hello", "Hi", "Thanks"])}! Tell me about the ${pick(NOUNS)} ${pick(VERBS)}.`,
    ])();
  const text = (): string =>
    pick([
      () => `${pick(OPENINGS)} ${pick(NOUNS)}`,
      () => `## ${pick(["Description", "Synopsis", "Options", "Examples"])}\n${pick(OPENINGS)} ${pick(VERBS)}`,
      () => `${pick(COMMANDS)} - ${pick(VERBS)} the ${pick(NOUNS)}.`,
      () => `.. function:: ${pick(VERBS)}(${pick(NOUNS)}, ${pick(NOUNS)}=None)\n\n   `,
    ])();
  const pages = (): string => Array.from({ length: 10 + Math.floor(random() * 30) }, text).join("\n\n");
  const chat = (): PromptInput => {
    const system = random() < 0.2 ? [{ role: "system" as const, content: "Answer in one sentence." }] : [];
    const before =
      random() < 0.2
        ? [
            { role: "user" as const, content: question() },
            { role: "assistant" as const, content: `Return the ${pick(NOUNS)}.` },
          ]
        : [];
    return { messages: [...system, ...before, { role: "user", content: question() }] };
  };
  const total = shares.reduce((sum, share) => sum + share, 0);
  const bucketAt = (point: number): number => {
    let left = point;
    const found = shares.findIndex((share) => {
      left -= share;
      return left < 0;
    });
    return found === -1 ? shares.length - 1 : found;
  };
  for (;;) {
    const bucket = bucketAt(random() * total);
    const from = BUCKET_STARTS[bucket]!;
    const to = BUCKET_STARTS[bucket + 1] ?? LONGEST;
    const maxTokens = from + Math.floor(random() * (to - from));
    yield {
      input:
        maxTokens < LONGEST_CHAT && random() < 0.35
          ? chat()
          : { prompt: longPrompts > 0 && random() < longPrompts ? pages() : text() },
      maxTokens,
      sampling: {
        ...DEFAULT_SAMPLING,
        temperatureMicros: Math.round(pick(TEMPERATURES) * 1_000_000),
        topPMicros: random() < 0.25 ? 900_000 : 1_000_000,
        topK: random() < 0.15 ? 20 : 64,
        minPMicros: random() < 0.1 ? 50_000 : 0,
        frequencyPenaltyMicros: random() < 0.1 ? 500_000 : 0,
      },
      seed: Uint8Array.from({ length: 32 }, () => Math.floor(random() * 256)),
    };
  }
}
