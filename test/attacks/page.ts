/** The page of results. */
import type { Profile } from "@karat/rules";
import { upperBound } from "../../ml-node/src/calibrate/bound.ts";
import { kept, type Outcome, type Rate, rateKept } from "./report.ts";
import { wilson } from "./wilson.ts";

export function pageOf(outcomes: readonly Outcome[], rates: readonly Rate[], profile: Profile): string {
  const days = [...new Set(outcomes.flatMap(({ measured }) => measured ?? []))];
  const rowOf = (outcome: Outcome): string => row(outcome, days);
  const cheats = outcomes.filter(({ honest }) => !honest);
  const honest = outcomes.filter((outcome) => outcome.honest);
  const calibration = profile.buckets.map(({ from, distance }) => `${from}+: ${distance.length}`).join(", ");
  return `# Verification: measured

Written by \`node test/attacks/main.ts --full\` from \`verification/outcomes.json\`, the rows as they were last measured; the mathematics are in
[design/verification.md](design/verification.md).
Declared model \`${profile.model}\` (${profile.quantization}, ${profile.engine}); substitutes: its 8-bit and 4-bit files and a model of a third
of its size. One validator, one prefill for each check, prompts that no calibration saw, temperature 0.7 where nothing else is said.

Profile: step ${profile.step}, k = ${profile.k}, honest runs by length ${calibration}; held out ${profile.heldOut.runs} honest runs, of which ${profile.heldOut.fails} failed at α = ${profile.alphaFail}
(exact 95 % upper bound ${upperBound(profile.heldOut.fails, profile.heldOut.runs).toExponential(2)}; [models](../models/README.md)).

## Cheats

*At 1 %*: share of runs with p ≤ 0.01, with its 95 % Wilson interval. *Fails*: verdict at α = ${profile.alphaFail}. *Peer*: the nearest peer's distance over
the first k values, unrounded, on the same runs, at the threshold that at most 1 % of as many honest runs of that length exceed. *Oct 2026*: the
same peer's rule of October 2026 (its distance by the length of the output, at most 2 % far positions, hardly any impossible token); – where it was not computed. *On*: ${days.map((day, i) => `${letter(i)} = ${day}`).join("; ")}.

| | attack | tokens | runs | at 1 % | fails | peer | Oct 2026 | promise | on |
|---|---|---|---|---|---|---|---|---|---|
${cheats.map(rowOf).join("\n")}

![Answers run by a substitute](verification/run-by.svg)

![Laundered answers](verification/laundered.svg)

## What must pass

| | | tokens | runs | failed |
|---|---|---|---|---|
${honest.map(({ id, name, tokens, runs: n, failed }) => `| ${id} | ${name} | ${tokens ?? "–"} | ${n} | ${rate(failed, n)} |`).join("\n")}

## Cheats that are no texts

Written by \`node test/attacks/ratesMain.ts\`: on the chain's modules (A13, A18) and on the real engine (values of validators, A24, embeddings), with 95 % Wilson intervals.

| | who | trials | of them | | promise |
|---|---|---|---|---|---|
${rates.map(rateRow).join("\n")}

## Elsewhere

A13, A18, A19 step by step: \`test/attacks/protocol.test.ts\`, on the chain's modules; cartels: \`test/attacks/collusion.test.ts\`. A15, A16, A24 through the whole service: \`ml-node/src/service/scoring.test.ts\`, on the real engine. A20 and
the economics: \`node test/attacks/simulation/main.ts\`, [results](verification/simulation.md). Whole networks with a cheating
participant: \`test/e2e/cheat.test.ts\`, with a validator that computes nothing: \`test/e2e/lazy.test.ts\`.
`;
}

function row(outcome: Outcome, days: readonly string[]): string {
  const { id, tokens, runs, atOnePercent, failed, promise } = outcome;
  const name = outcome.note === undefined ? outcome.name : `${outcome.name} (${outcome.note})`;
  const share = (hits: number | undefined): string => (hits === undefined ? "–" : percent(hits / runs));
  const promised = promise === undefined ? "" : `≥ ${promise * 100} %${kept(outcome) ? "" : " **missed**"}`;
  return `| ${id} | ${name} | ${tokens ?? "–"} | ${runs} | ${rate(atOnePercent, runs)} | ${percent(failed / runs)} | ${share(outcome.peer)} | ${share(outcome.peer2026)} | ${promised} | ${outcome.measured === undefined ? "" : letter(days.indexOf(outcome.measured))} |`;
}

function rateRow(measured: Rate): string {
  const { id, name, counted, honest, promise, runs, found } = measured;
  const promised =
    promise === undefined ? "" : `${honest ? "≤" : "≥"} ${promise * 100} %${rateKept(measured) ? "" : " **missed**"}`;
  return `| ${id} | ${name} | ${runs} | ${counted} | ${rate(found, runs)} | ${promised} |`;
}

function rate(hits: number, runs: number): string {
  const { low, high } = wilson(hits, runs);
  return `${percent(hits / runs)} (${percent(low)}–${percent(high)})`;
}

const letter = (i: number): string => String.fromCharCode(97 + i);
const percent = (value: number): string => `${(value * 100).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`;
