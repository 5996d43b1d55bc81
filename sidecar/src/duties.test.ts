import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChainClient, TxSender } from "@karat/client";
import { authorize } from "@karat/client";
import { KaratError, newPrivateKey, sha256, silentLogger, toBase64, toHex, utf8 } from "@karat/common";

import { inference, refOf, sign, statementOf, typeUrls, verification } from "@karat/proto";
import { checkCommitment, samplingSeed, tokensHash } from "@karat/rules";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { DutyRunner } from "./duties.ts";
import { Openings } from "./openings.ts";
import { Scorer } from "./score.ts";

const { Verdict } = verification;
const { PENDING, ANSWERED, COMMITTEE, VALID } = verification.CheckStatus;
const request = '{"messages":[{"content":"hi","role":"user"}],"model":"m"}';
const authorization = authorize({
  chainId: "karat-1",
  privateKey: newPrivateKey(),
  model: "m",
  requestHash: sha256(utf8(request)),
  maxInputTokens: 10,
  maxOutputTokens: 20,
  maxInputPrice: 1n,
  maxOutputPrice: 1n,
  sampling: sign.Sampling.fromPartial({ temperatureMicros: 1_000_000, topK: 64, topPMicros: 1_000_000 }),
  anchorHeight: 5n,
  transferAgent: "karat1ta",
  recording: sign.RecordingMode.FULL,
});
const id = authorization.inferenceId;
const finish: inference.FinishRecord = {
  inferenceId: id,
  executor: "karat1executor",
  outputHash: sha256(utf8("answer")),
  artifactRoot: new Uint8Array(32).fill(1),
  promptHash: new Uint8Array(32).fill(2),
  promptTokens: 4,
  receiptPromptTokens: 4,
  completionTokens: 2,
  finishReason: sign.FinishReason.LENGTH,
  output: utf8("answer"),
  tokenIds: [1, 2],
  artifact: utf8("artifact"),
  prefixTokenIds: [],
  error: "",
};
const record = inference.Inference.fromPartial({
  id,
  model: "m",
  executor: finish.executor,
  requestHash: sha256(utf8(request)),
  maxOutputTokens: 20,
  anchorHeight: 5n,
  finishReason: sign.FinishReason.LENGTH,
  promptTokens: 4,
  completionTokens: 2,
  root: sha256(statementOf("karat-1", finish)),
  recording: sign.RecordingMode.FULL,
});

/** Two windows of the own values, of 40 positions. */
const windows = [toBase64(utf8("first")), toBase64(utf8("second"))];

/** An ML node that answers what the test wants and keeps what it was asked. */
let ml: Server;
let mlUrl: string;
let answer: { status: number; body: string };
let prefill: { status: number; body: string };
let asked: Record<string, unknown>[];
let dir: string;
let scorer: Scorer;
let stop: AbortController;
beforeEach(async () => {
  asked = [];
  dir = mkdtempSync(join(tmpdir(), "karat-duties-"));
  prefill = {
    status: 200,
    body: JSON.stringify({ values_hash: "ab".repeat(32), windows, gated_margins: 3, positions: 40 }),
  };
  stop = new AbortController();
  answer = {
    status: 200,
    body: '{"verdict":"pass","p_bucket":1,"reason":"ok","statistics":{"distance":0.012,"gatedMargins":2,"positions":20}}',
  };
  ml = createServer(async (incoming, outgoing) => {
    let body = "";
    for await (const chunk of incoming) body += chunk;
    asked.push({ url: incoming.url, ...JSON.parse(body) });
    const given = incoming.url === "/karat/v1/score/prefill" ? prefill : answer;
    outgoing.writeHead(given.status).end(given.body);
  });
  await new Promise<void>((resolve) => ml.listen(0, "127.0.0.1", resolve));
  mlUrl = `http://127.0.0.1:${(ml.address() as AddressInfo).port}`;
  scorer = new Scorer(mlUrl);
});
afterEach(async () => {
  stop.abort();
  await scorer.close();
  ml.close();
  ml.closeAllConnections();
  rmSync(dir, { recursive: true, force: true });
});

interface World {
  inline?: boolean;
  payload?: boolean;
  refuseFirst?: boolean;
  /** How often the chain says that others of the committee may still commit. */
  stillCommitting?: number;
  /** Whether the artifact never opens. */
  sealed?: boolean;
  /** Whether the chain wants an earlier output judged together with this one. */
  pooled?: boolean;
  /** How the check stands. */
  status?: verification.CheckStatus;
  /** Whether a committee was convened. */
  convened?: boolean;
  /** The window that is to be opened, and one more: 0 for none yet. */
  window?: number;
  /** What this validator has answered before. */
  answered?: verification.Verdict;
  /** Of the payload. */
  change?: Partial<inference.FinishRecord>;
  /** Of the record. */
  recorded?: Partial<inference.Inference>;
}

/** A chain with one open duty, and the verdicts that reach it. */
function world(options: World = {}): {
  runner: DutyRunner;
  verdicts: verification.VerdictRecord[];
  commitments: verification.CheckCommitment[];
} {
  const { inline = true, payload = inline, refuseFirst = false, sealed = false } = options;
  const pooled = options.pooled ? [id] : [];
  let stillCommitting = options.stillCommitting ?? 0;
  const verdicts: verification.VerdictRecord[] = [];
  const commitments: verification.CheckCommitment[] = [];
  const batch = inference.MsgRecords.fromPartial({
    sender: "x",
    starts: [
      { request: utf8("another") },
      inline ? { request: utf8(request) } : { requestHash: sha256(utf8(request)) },
    ],
    finishes: [
      { ref: 7n },
      { ref: refOf(id), ...(inline ? { opening: { ...finish, artifact: new Uint8Array() } } : { root: record.root }) },
    ],
  });
  const messages = [{ typeUrl: typeUrls.records, value: batch }];
  const { convened = false, answered: verdict = Verdict.UNSPECIFIED } = options;
  const duty = (): verification.Duty =>
    verification.Duty.fromPartial({ inferenceId: id, deadlineHeight: 20n, verdict, ...commitments.at(-1) });
  const check = () =>
    verification.Check.fromPartial({
      inferenceId: id,
      pooled,
      status: options.status ?? PENDING,
      duties: [{ committee: convened }],
    });
  const chain = {
    chainId: "karat-1",
    query: {
      pendingDuties: async () => (verdicts.length === 0 ? [duty()] : []),
      inference: async () => ({ ...record, ...options.recorded }),
      check: async () => check(),
      checkWithWindow: async () => ({ check: check(), window: options.window ?? 0 }),
      beacon: async () => ({ height: 5n, beacon: new Uint8Array(32) }),
    },
    txSearch: async () => [{ bytes: new Uint8Array() }],
    messagesOf: () => messages,
  } as unknown as ChainClient;
  let refusals = refuseFirst ? 1 : 0;
  const sender = {
    address: "karat1validator",
    async send([{ typeUrl, value }]: [{ typeUrl: string; value: object }]) {
      if (refusals-- > 0) throw new KaratError("chain_unavailable", "away");
      const code = typeUrl === typeUrls.submitVerdicts && stillCommitting-- > 0 ? 14 : 0;
      if (typeUrl === typeUrls.commitChecks) commitments.push(...(value as verification.MsgCommitChecks).commitments);
      else if (code === 0) verdicts.push(...(value as verification.MsgSubmitVerdicts).verdicts);
      const results = [{ inferenceId: id, code, log: "" }];
      return { responses: [verification.MsgSubmitVerdictsResponse.encode({ results }).finish()] };
    },
  } as unknown as TxSender;
  // What the payload stores give before and after the commitment.
  const payloads = async () => {
    const artifact = commitments.length > 0 && !sealed ? utf8("artifact") : new Uint8Array();
    return payload ? { request, finish: { ...finish, ...options.change, artifact } } : undefined;
  };
  const runner = new DutyRunner({
    chain,
    sender,
    scorer,
    payloads,
    openings: new Openings(dir),
    operator: "karat1me",
    concurrency: 1,
    log: silentLogger,
    signal: stop.signal,
    onVerdict() {},
  });
  return { runner, verdicts, commitments };
}

async function verdictOf(options?: World): Promise<verification.VerdictRecord> {
  const { runner, verdicts } = world(options);
  await runner.refresh(10n);
  for (let i = 0; i < 200 && verdicts.length === 0; i++) await sleep(10);
  await runner.drain();
  expect(verdicts).toHaveLength(1);
  return verdicts[0]!;
}

test("of an embedding, the texts are asked about", async () => {
  const input = ["a", "b"];
  const embedding = JSON.stringify({ input, model: "m" });
  await scorer.score(
    { record, request: embedding, finish, miscounted: false, beacon: new Uint8Array(32), pooled: [] },
    "karat-1",
  );
  expect(asked[0]).toMatchObject({ url: "/karat/v1/score", input, max_tokens: 20, token_ids: [1, 2] });
});

test("a duty is scored on the recorded request and output, and its verdict sent with integers", async () => {
  const verdict = await verdictOf();
  expect(verdict).toMatchObject({
    verdict: Verdict.VALID,
    pBucket: 1,
    distanceMicros: 12_000n,
    gatedMargins: 3,
    positions: 40,
    valuesHash: new Uint8Array(32).fill(0xab),
  });
  expect(verdict.salt).toHaveLength(32);
  expect(asked.map(({ url }) => url)).toEqual(["/karat/v1/score/prefill", "/karat/v1/score"]);
  expect(asked[0]).not.toHaveProperty("artifact");
  expect(asked[0]).toHaveProperty("prompt_tokens", 4);
  expect(asked[1]).toMatchObject({
    model: "m",
    messages: [{ role: "user", content: "hi" }],
    max_tokens: 20,
    token_ids: [1, 2],
    finish_reason: "length",
  });
  expect(verdict.evidenceHash).toEqual(sha256(utf8(answer.body)));
});

test("a failed check is an invalid verdict", async () => {
  answer.body = '{"verdict":"fail","p_bucket":10,"statistics":{}}';
  expect(await verdictOf()).toMatchObject({ verdict: Verdict.INVALID, pBucket: 10 });
});

test("a request that the engine refuses is an abstention, never a pass", async () => {
  prefill = { status: 400, body: '{"error":{}}' };
  expect((await verdictOf()).verdict).toBe(Verdict.ABSTAIN);
});

test("what is not on chain comes from the payload stores, and what nobody has is unavailable", async () => {
  expect((await verdictOf({ inline: false, payload: true })).verdict).toBe(Verdict.VALID);
  expect((await verdictOf({ inline: false })).verdict).toBe(Verdict.UNAVAILABLE);
});

test("a payload is taken only where its statement is the recorded one", async () => {
  const away = { inline: false, payload: true };
  expect((await verdictOf({ ...away, change: { promptHash: new Uint8Array(32) } })).verdict).toBe(Verdict.UNAVAILABLE);
  expect((await verdictOf({ ...away, change: { completionTokens: 1 } })).verdict).toBe(Verdict.UNAVAILABLE);
});

describe("a part that goes on behind another executor's tokens", () => {
  const prefixTokenIds = [7, 8, 9];
  const orderId = sha256(utf8("order"));
  const recorded = { part: { orderId, prefixTokens: 3, prefixHash: tokensHash(prefixTokenIds) } };
  const away = { inline: false, payload: true, recorded };

  test("is scored behind them, with the seed of its order", async () => {
    expect((await verdictOf({ ...away, change: { prefixTokenIds } })).verdict).toBe(Verdict.VALID);
    const seed = toHex(samplingSeed("karat-1", orderId, new Uint8Array(32), new Uint8Array()));
    for (const question of asked) {
      expect(question).toMatchObject({
        prefix_token_ids: prefixTokenIds,
        token_ids: [1, 2],
        seed,
        inference_id: toHex(id),
      });
    }
  });

  test("is unavailable where its payload has others, or an order's payload has any", async () => {
    const others = { ...away, change: { prefixTokenIds: [7, 8] } };
    expect((await verdictOf(others)).verdict).toBe(Verdict.UNAVAILABLE);
    expect((await verdictOf(away)).verdict).toBe(Verdict.UNAVAILABLE);
    const order = { inline: false, payload: true, change: { prefixTokenIds } };
    expect((await verdictOf(order)).verdict).toBe(Verdict.UNAVAILABLE);
    expect(asked).toEqual([]);
  });
});

test("counts that are paid and not in the statement, or not in the payload, are found without a prefill", async () => {
  const away = { inline: false, payload: true };
  expect(await verdictOf({ ...away, recorded: { completionTokens: 3 } })).toMatchObject({ verdict: Verdict.INVALID });
  expect(await verdictOf({ ...away, change: { tokenIds: [1] } })).toMatchObject({ verdict: Verdict.INVALID });
  expect(asked).toEqual([]);
});

test("an ML node that cannot score now leaves the duty open for the next look", async () => {
  prefill = { status: 503, body: "" };
  const { runner, verdicts } = world();
  await runner.refresh(10n);
  for (let i = 0; i < 200 && runner.open.length > 0; i++) await sleep(10);
  expect(verdicts).toEqual([]);
  prefill = {
    status: 200,
    body: JSON.stringify({ values_hash: "cd".repeat(32), windows, gated_margins: 0, positions: 40 }),
  };
  await runner.refresh(11n);
  for (let i = 0; i < 200 && verdicts.length === 0; i++) await sleep(10);
  expect(verdicts[0]?.verdict).toBe(Verdict.VALID);
});

test("what was committed is what the verdict opens", async () => {
  const { runner, verdicts, commitments } = world();
  await runner.refresh(10n);
  await vi.waitFor(() => expect(verdicts).toHaveLength(1));
  const { valuesHash, salt, gatedMargins, positions } = verdicts[0]!;
  const values = {
    chainId: "karat-1",
    inferenceId: id,
    validator: "karat1me",
    valuesHash,
    salt,
    gatedMargins,
    positions,
  };
  expect(commitments).toEqual([{ inferenceId: id, commitment: checkCommitment(values) }]);
});

test("an answer that is impossible whatever the artifact says is committed to as such, and invalid", async () => {
  prefill.body = '{"verdict":"fail","p_bucket":10,"reason":"prompt_hash","statistics":{}}';
  expect(await verdictOf()).toMatchObject({ verdict: Verdict.INVALID, positions: 0 });
  expect(asked).toHaveLength(1);
});

test("after a restart the opening of the commitment that is on chain is still known", async () => {
  const { runner, verdicts, commitments } = world({ sealed: true });
  await runner.refresh(10n);
  await vi.waitFor(() => expect(runner.open).toEqual([]));
  expect([commitments.length, verdicts.length]).toEqual([1, 0]);
  const again = world();
  again.commitments.push(...commitments);
  await again.runner.refresh(11n);
  await vi.waitFor(() => expect(again.verdicts).toHaveLength(1));
  expect(again.commitments).toEqual(commitments);
  expect(asked.map(({ url }) => url)).toEqual(["/karat/v1/score/prefill", "/karat/v1/score"]);
});

test("an artifact that does not open is unavailable only when the deadline comes near", async () => {
  const { runner, verdicts } = world({ sealed: true });
  await runner.refresh(10n);
  await vi.waitFor(() => expect(runner.open).toEqual([]));
  expect(verdicts).toEqual([]);
  await runner.refresh(18n);
  await vi.waitFor(() => expect(verdicts).toHaveLength(1));
  expect(verdicts[0]).toMatchObject({ verdict: Verdict.UNAVAILABLE, positions: 40 });
});

test("outputs that the chain has pooled are asked about and judged together", async () => {
  await verdictOf({ pooled: true });
  const [blind, opened] = asked as { pooled: Record<string, unknown>[] }[];
  expect(blind!.pooled).toHaveLength(1);
  expect(blind!.pooled[0]).toMatchObject({ token_ids: [1, 2] });
  expect(blind!.pooled[0]).not.toHaveProperty("artifact");
  expect(opened!.pooled).toMatchObject([{ token_ids: [1, 2], artifact: expect.any(String) }]);
});

test("a verdict waits while other members of the committee may still commit", async () => {
  const { runner, verdicts } = world({ stillCommitting: 2 });
  await runner.refresh(10n);
  for (let height = 11n; verdicts.length === 0; height++) {
    await vi.waitFor(() => expect(asked).toHaveLength(2));
    runner.block(height);
    await sleep(5);
  }
  expect(verdicts[0]!.verdict).toBe(Verdict.VALID);
});

test("a verdict is sent again when the chain was away", async () => {
  expect((await verdictOf({ refuseFirst: true })).verdict).toBe(Verdict.VALID);
});

test("a duty past its deadline is left alone", async () => {
  const { runner } = world();
  await runner.refresh(20n);
  expect(runner.open).toEqual([]);
});

test("a committee gets the drawn window with the verdict, and not before it is drawn", async () => {
  const options: World = { convened: true, status: COMMITTEE };
  const { runner, verdicts } = world(options);
  await runner.refresh(10n);
  await vi.waitFor(() => expect(asked).toHaveLength(2));
  await vi.waitFor(() => expect(runner.open).toEqual([toHex(id)]));
  expect(verdicts).toEqual([]);
  options.window = 2;
  runner.block(11n);
  await vi.waitFor(() => expect(verdicts).toHaveLength(1));
  expect(verdicts[0]).toMatchObject({ verdict: Verdict.VALID, window: { coded: utf8("second") } });
  expect(verdicts[0]!.window!.path).toHaveLength(1);
});

test("whoever has answered repeats its verdict with the window, also after a restart", async () => {
  const before = world();
  await before.runner.refresh(10n);
  await vi.waitFor(() => expect(before.verdicts).toHaveLength(1));
  await before.runner.drain();
  const [answered] = before.verdicts;
  expect(answered!.window).toBeUndefined();
  const { runner, verdicts } = world({ convened: true, status: COMMITTEE, window: 1, answered: Verdict.VALID });
  await runner.refresh(12n);
  await vi.waitFor(() => expect(verdicts).toHaveLength(1));
  const { valuesHash, salt, gatedMargins, positions } = answered!;
  const opened = { verdict: Verdict.VALID, valuesHash, salt, gatedMargins, positions };
  expect(verdicts[0]).toMatchObject({ ...opened, window: { coded: utf8("first") } });
  expect(asked).toHaveLength(2);
});

test("an opening is kept until its check is decided", async () => {
  const options: World = {};
  const { runner, verdicts } = world(options);
  await runner.refresh(10n);
  await vi.waitFor(() => expect(verdicts).toHaveLength(1));
  await runner.drain();
  const openings = new Openings(dir);
  for (const [status, kept] of [
    [ANSWERED, 1],
    [COMMITTEE, 1],
    [VALID, 0],
  ] as const) {
    options.status = status;
    runner.block(11n);
    await vi.waitFor(() => expect(openings.ids()).toHaveLength(kept));
    await sleep(20);
    expect(openings.ids()).toHaveLength(kept);
  }
});
