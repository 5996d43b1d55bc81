import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChainClient, TxSender } from "@karat/client";
import { authorize } from "@karat/client";
import { KaratError, newPrivateKey, sha256, silentLogger, utf8 } from "@karat/common";
import { inference, sign, typeUrls, verification } from "@karat/proto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DutyRunner } from "./duties.ts";
import { Scorer } from "./score.ts";

const { Verdict } = verification;
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
const record = inference.Inference.fromPartial({
  id,
  model: "m",
  maxOutputTokens: 20,
  anchorHeight: 5n,
  finishReason: sign.FinishReason.LENGTH,
});

/** An ML node that answers what the test wants and keeps what it was asked. */
let ml: Server;
let mlUrl: string;
let answer: { status: number; body: string };
let asked: Record<string, unknown>[];
let scorer: Scorer;
let stop: AbortController;
beforeEach(async () => {
  asked = [];
  stop = new AbortController();
  answer = {
    status: 200,
    body: '{"verdict":"pass","p_bucket":1,"reason":"ok","statistics":{"distance":0.012,"gatedMargins":2,"positions":20}}',
  };
  ml = createServer(async (incoming, outgoing) => {
    let body = "";
    for await (const chunk of incoming) body += chunk;
    asked.push(JSON.parse(body));
    outgoing.writeHead(answer.status).end(answer.body);
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
});

interface World {
  inline?: boolean;
  payload?: boolean;
  refuseFirst?: boolean;
}

/** A chain with one open duty, and the verdicts that reach it. */
function world({ inline = true, payload = false, refuseFirst = false }: World = {}): {
  runner: DutyRunner;
  verdicts: verification.VerdictRecord[];
} {
  const verdicts: verification.VerdictRecord[] = [];
  const finish = inference.FinishRecord.fromPartial({
    inferenceId: id,
    tokenIds: inline ? [1, 2] : [],
    artifact: inline ? utf8("artifact") : new Uint8Array(),
  });
  const start = inference.StartRecord.fromPartial({
    ...authorization,
    authorization: authorization.bytes,
    request: inline ? utf8(request) : new Uint8Array(),
  });
  const messages = [
    { typeUrl: typeUrls.startInferences, value: { sender: "x", records: [start] } },
    { typeUrl: typeUrls.finishInferences, value: { sender: "x", records: [finish] } },
  ];
  const duty = verification.Duty.fromPartial({ inferenceId: id, deadlineHeight: 20n });
  const chain = {
    chainId: "karat-1",
    query: {
      pendingDuties: async () => (verdicts.length === 0 ? [duty] : []),
      inference: async () => record,
      beacon: async () => ({ height: 5n, beacon: new Uint8Array(32) }),
    },
    txSearch: async () => [{ bytes: new Uint8Array() }],
    messagesOf: () => messages,
  } as unknown as ChainClient;
  let refusals = refuseFirst ? 1 : 0;
  const sender = {
    address: "karat1validator",
    async send([message]: [{ value: verification.MsgSubmitVerdicts }]) {
      if (refusals-- > 0) throw new KaratError("chain_unavailable", "away");
      verdicts.push(...message.value.verdicts);
      const results = message.value.verdicts.map(({ inferenceId }) => ({ inferenceId, code: 0, log: "" }));
      return { responses: [verification.MsgSubmitVerdictsResponse.encode({ results }).finish()] };
    },
  } as unknown as TxSender;
  const fetched = { request, finish: { tokenIds: [1, 2], artifact: utf8("artifact") } };
  const payloads = async () => (payload ? fetched : undefined);
  const runner = new DutyRunner({
    chain,
    sender,
    scorer,
    payloads,
    operator: "karat1me",
    concurrency: 1,
    log: silentLogger,
    signal: stop.signal,
    onVerdict() {},
  });
  return { runner, verdicts };
}

async function verdictOf(options?: World): Promise<verification.VerdictRecord> {
  const { runner, verdicts } = world(options);
  await runner.refresh(10n);
  for (let i = 0; i < 200 && verdicts.length === 0; i++) await sleep(10);
  await runner.drain();
  expect(verdicts).toHaveLength(1);
  return verdicts[0]!;
}

test("a duty is scored on the recorded request and output, and its verdict sent with integers", async () => {
  const verdict = await verdictOf();
  expect(verdict).toMatchObject({
    verdict: Verdict.VALID,
    pBucket: 1,
    distanceMicros: 12_000n,
    gatedMargins: 2,
    positions: 20,
  });
  expect(asked[0]).toMatchObject({
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
  answer = { status: 400, body: '{"error":{}}' };
  expect((await verdictOf()).verdict).toBe(Verdict.ABSTAIN);
});

test("what is not on chain comes from the payload stores, and what nobody has is unavailable", async () => {
  expect((await verdictOf({ inline: false, payload: true })).verdict).toBe(Verdict.VALID);
  expect((await verdictOf({ inline: false })).verdict).toBe(Verdict.UNAVAILABLE);
});

test("an ML node that cannot score now leaves the duty open for the next look", async () => {
  answer = { status: 503, body: "" };
  const { runner, verdicts } = world();
  await runner.refresh(10n);
  for (let i = 0; i < 200 && runner.open.length > 0; i++) await sleep(10);
  expect(verdicts).toEqual([]);
  answer = { status: 200, body: '{"verdict":"pass","p_bucket":0,"statistics":{}}' };
  await runner.refresh(11n);
  for (let i = 0; i < 200 && verdicts.length === 0; i++) await sleep(10);
  expect(verdicts[0]?.verdict).toBe(Verdict.VALID);
});

test("a verdict is sent again when the chain was away", async () => {
  expect((await verdictOf({ refuseFirst: true })).verdict).toBe(Verdict.VALID);
});

test("a duty past its deadline is left alone", async () => {
  const { runner } = world();
  await runner.refresh(20n);
  expect(runner.open).toEqual([]);
});
