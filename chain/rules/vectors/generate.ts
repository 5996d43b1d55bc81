/** Writes sampling.json. The vectors are what other implementations must reproduce; they change only with the protocol. */
import { writeFileSync } from "node:fs";
import { bytesToHex, DEFAULT_SAMPLING, domainHash, gumbel, type SamplingParams, sample, samplingSeed, type TokenLogit } from "../src/index.ts";

const bits = (value: number): string => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0).toString(16).padStart(16, "0");
};
const bytes = (name: string, i: number): Uint8Array => domainHash(`karat/vector/${name}`, BigInt(i));

const seeds = Array.from({ length: 4 }, (_, i) => {
  const [inferenceId, beacon] = [bytes("id", i), bytes("beacon", i)];
  const chainId = `karat-vector-${i}`;
  return { chainId, inferenceId: bytesToHex(inferenceId), beacon: bytesToHex(beacon), seed: bytesToHex(samplingSeed(chainId, inferenceId, beacon)) };
});

const noise = Array.from({ length: 64 }, (_, i) => {
  const seed = bytes("noise", i % 4);
  const [position, id] = [i * 37, (i * 7919) % 200_000];
  return { seed: bytesToHex(seed), position, id, gumbel: bits(gumbel(seed, position, id)) };
});

const variants: SamplingParams[] = [
  DEFAULT_SAMPLING,
  { ...DEFAULT_SAMPLING, temperatureMicros: 0 },
  { ...DEFAULT_SAMPLING, temperatureMicros: 700_000, topPMicros: 900_000 },
  { ...DEFAULT_SAMPLING, topK: 4, minPMicros: 50_000 },
  { ...DEFAULT_SAMPLING, frequencyPenaltyMicros: 500_000, presencePenaltyMicros: -250_000 },
];
const samples = variants.flatMap((params, v) =>
  Array.from({ length: 6 }, (_, i) => {
    const hash = bytes("logits", 100 * v + i);
    const logits = Array.from({ length: 32 }, (_, id): TokenLogit => [id * 61, hash[id]! / 16 - 16]);
    const previous: [number, number][] = [[61, 2], [122, 1]];
    const seed = bytes("sample", i);
    return { params, seed: bytesToHex(seed), position: i * 11, logits, previous, token: sample(params, seed, i * 11, logits, new Map(previous)) };
  }),
);

writeFileSync(new URL("sampling.json", import.meta.url), `${JSON.stringify({ about: "Seed-bound Gumbel-max sampling; gumbel: bits of the double", seeds, noise, samples })}\n`);
