/** What arrives on the ABCI socket may be anything: every connection ends in answers or is closed, and nothing piles up. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Request, RequestInitChain, Response } from "cosmjs-types/tendermint/abci/types";
import { afterAll, expect, test } from "vitest";
import { STORES } from "../../../chain/src/app/compose.ts";
import { encodeFrame, FrameDecoder } from "../../../chain/src/engine/cometbft/framing.ts";
import { type AbciServer, serveAbci } from "../../../chain/src/engine/cometbft/server.ts";
import { MemoryCommitStore } from "../../../chain/src/store/index.ts";
import { Random } from "../random.ts";
import { Replica } from "../replica.ts";
import { World } from "../world.ts";
import { mutate } from "./mutate.ts";

const ROUNDS = 400;
const LIMIT_MS = 120_000;
const random = new Random("abci");
const world = new World("karat-abci", random);
const genesis = { chainId: world.chainId, seed: "abci", initialHeight: 1n, appState: world.appState() };
const open: AbciServer[] = [];

afterAll(async () => {
  for (const server of open) await server.stop();
});

function newReplica(): Replica {
  const store = new MemoryCommitStore(STORES);
  const replica = new Replica(genesis, () => store, false);
  replica.app.finalizeBlock(replica.finalizeRequest([]));
  replica.app.commit();
  return replica;
}

async function serve(replica: Replica): Promise<AbciServer> {
  const server = await serveAbci({ application: replica.app, listen: "tcp://127.0.0.1:0", farewellMs: 0 });
  open.push(server);
  return server;
}

/** One of each kind of request, as CometBFT would send it now. */
function requests(replica: Replica): Partial<Request>[] {
  const block = replica.finalizeRequest([random.bytes(30)]);
  const votes = { round: 0, votes: [] };
  return [
    { echo: { message: "hello" } },
    { flush: {} },
    { info: { version: "0.38", blockVersion: 11n, p2pVersion: 8n, abciVersion: "2.0.0" } },
    { checkTx: { tx: random.bytes(60), type: 0 } },
    { query: { path: "/karat.epoch.v1.Query/CurrentEpoch", data: new Uint8Array(), height: 0n, prove: true } },
    { prepareProposal: { ...block, maxTxBytes: 1_000_000n, localLastCommit: votes } },
    { processProposal: { ...block, proposedLastCommit: votes } },
    { extendVote: { ...block, proposedLastCommit: votes } },
    { finalizeBlock: block },
    { commit: {} },
    { listSnapshots: {} },
    { offerSnapshot: { appHash: random.bytes(32) } },
    { loadSnapshotChunk: { height: 1n, format: 1, chunk: 0 } },
    { applySnapshotChunk: { index: 0, chunk: random.bytes(40), sender: "peer" } },
    { initChain: RequestInitChain.fromPartial({ chainId: world.chainId, appStateBytes: random.bytes(20) }) },
  ];
}

const encoded = (request: Partial<Request>) => Request.encode(Request.fromPartial(request)).finish();

/** Sends, says that nothing more comes, and waits for the end: what was answered. */
async function exchange(server: AbciServer, bytes: Uint8Array): Promise<Response[]> {
  const socket = socketTo(server);
  const frames = new FrameDecoder();
  const responses: Response[] = [];
  socket.on("data", (chunk: Buffer) => {
    for (const message of frames.push(chunk)) responses.push(Response.decode(message));
  });
  // A reset is a close, too, where `once` of node:events would reject.
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.end(bytes);
  await closed;
  return responses;
}

function socketTo(server: AbciServer): Socket {
  const [, host, port] = /^tcp:\/\/(.+):(\d+)$/.exec(server.address)!;
  const socket = connect({ port: Number(port), host: host!, allowHalfOpen: true });
  // A server that stops resets its connections: for the asker that is a close.
  socket.on("error", () => undefined);
  return socket;
}

test(
  "changed frames end in answers, in an exception, or in a closed connection",
  async () => {
    let replica = newReplica();
    let server = await serve(replica);
    const seen = { answered: 0, exceptions: 0, closed: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const all = requests(replica);
      const [one, other] = [encoded(random.pick(all)), encoded(random.pick(all))];
      const inside = random.percent(60);
      const frame = inside ? encodeFrame(one.length === 0 ? one : mutate(random, one, other)) : encodeFrame(one);
      const bytes = inside ? frame : mutate(random, frame, encodeFrame(other));
      const responses = await exchange(server, bytes);
      const failed = responses.some(({ exception }) => exception !== undefined);
      if (failed) seen.exceptions++;
      else if (responses.length > 0) seen.answered++;
      else seen.closed++;
      if (!failed) continue;
      // CometBFT exits on an exception, and so does the node: the next one starts from what is committed.
      await expect(server.finished).rejects.toThrow();
      replica = newReplica();
      server = await serve(replica);
    }
    expect(seen.answered).toBeGreaterThan(20);
    expect(seen.exceptions).toBeGreaterThan(20);
    expect(seen.closed).toBeGreaterThan(20);
    expect((await exchange(server, encodeFrame(encoded({ echo: { message: "still here" } }))))[0]?.echo?.message).toBe(
      "still here",
    );
  },
  LIMIT_MS,
);

test("a length that is announced and never sent costs no memory, one over the limit ends the connection", async () => {
  const server = await serve(newReplica());
  const before = process.memoryUsage();
  const sockets: Socket[] = [];
  for (let i = 0; i < 8; i++) {
    const socket = socketTo(server);
    await once(socket, "connect");
    // 100 MB are announced, a hundred bytes come.
    socket.write(Uint8Array.from([0x80, 0xc2, 0xd7, 0x2f, ...new Uint8Array(100)]));
    sockets.push(socket);
  }
  expect(await exchange(server, encodeFrame(encoded({ echo: { message: "others wait" } })))).toHaveLength(1);
  expect(process.memoryUsage().arrayBuffers - before.arrayBuffers).toBeLessThan(32 * 1024 * 1024);
  const closed = sockets.map((socket) => once(socket, "close"));
  for (const socket of sockets) socket.end();
  await Promise.all(closed);
  expect(await exchange(server, Uint8Array.from([0x80, 0x80, 0x80, 0x80, 0x10]))).toEqual([]);
  expect(await exchange(server, new Uint8Array(20).fill(0xff))).toEqual([]);
});
