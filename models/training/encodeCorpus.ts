/**
 * `node encodeCorpus.ts [vocabulary size]`: text.txt and chat.jsonl (from corpus.py) → merges.json and the token files
 * text.bin, val.bin, chat.bin, chatval.bin (u16 little-endian). One document and one dialogue in 50 are held out.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { Tokenizer, trainMerges } from "./tokenizer.ts";

const MAX_DOCUMENT_CHARACTERS = 400_000;

const vocabularySize = Number(process.argv[2] ?? 2048);
const documents = readFileSync("text.txt", "utf8").split("\0");
const dialogues = readFileSync("chat.jsonl", "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as { q: string; a: string });

const sample =
  documents.filter((_, i) => i % 4 === 0).join("\n") + dialogues.map(({ q, a }) => `${q}\n${a}`).join("\n");
const merges = trainMerges(sample, vocabularySize);
writeFileSync("merges.json", JSON.stringify(merges));
const tokenizer = new Tokenizer(merges);

let bytes = 0;
const text = split(documents, (document) => {
  const shortened = document.slice(0, MAX_DOCUMENT_CHARACTERS);
  bytes += Buffer.byteLength(shortened);
  return [tokenizer.special("<|endoftext|>"), ...tokenizer.encode(shortened)];
});
const chat = split(dialogues, ({ q, a }) =>
  tokenizer.encodeChat([
    { role: "user", content: q },
    { role: "assistant", content: a },
  ]),
);
write("text.bin", text.train);
write("val.bin", text.heldOut);
write("chat.bin", chat.train);
write("chatval.bin", chat.heldOut);
const tokens = text.train.length + text.heldOut.length;
console.log({ merges: merges.length, tokens, chatTokens: chat.train.length, bytesPerToken: bytes / tokens });

function split<T>(items: readonly T[], encode: (item: T) => number[]): { train: number[]; heldOut: number[] } {
  const train: number[] = [];
  const heldOut: number[] = [];
  items.forEach((item, i) => {
    const target = i % 50 === 7 ? heldOut : train;
    for (const id of encode(item)) target.push(id);
  });
  return { train, heldOut };
}

function write(path: string, ids: readonly number[]): void {
  writeFileSync(path, Buffer.from(Uint16Array.from(ids).buffer));
}
