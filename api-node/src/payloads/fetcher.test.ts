import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256, silentLogger, toHex, utf8 } from "@karat/common";
import { inference, statementOf, verification } from "@karat/proto";
import { Router } from "express";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createApp } from "../network/app.ts";
import { PeerAuthentication } from "../peers/authentication.ts";
import { type ListeningServer, listen } from "../server.ts";
import { type NodeDatabase, openDatabase } from "../storage/database.ts";
import { FakeView, newIdentity } from "../testing/fakeView.ts";
import { PayloadFetcher } from "./fetcher.ts";
import { PayloadStore } from "./payloadStore.ts";
import { payloadRoutes } from "./route.ts";

const view = new FakeView();
const [me, holder, liar] = [newIdentity(), newIdentity(), newIdentity()];
let path: string;
let databases: NodeDatabase[];
let servers: ListeningServer[];
let held: PayloadStore;
let check: verification.Check | undefined;
let fetcher: PayloadFetcher;

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), "karat-fetcher-"));
  databases = ["me", "holder"].map((name) => openDatabase(join(path, name)));
  held = new PayloadStore(databases[1]!, { log: silentLogger });
  const lies = Router().get(
    "/karat/v1/payloads/:hash",
    (_request, response) => void response.send(Buffer.from("something else")),
  );
  const apps = [payloadRoutes(held, new PeerAuthentication(view, holder), async () => check), lies].map((router) =>
    createApp([router], silentLogger),
  );
  servers = await Promise.all(apps.map((other) => listen({ hot: new Map(), other }, "127.0.0.1", 0)));
  view.join(holder, `http://127.0.0.1:${servers[0]!.port}`);
  view.join(liar, `http://127.0.0.1:${servers[1]!.port}`);
  view.join(me, "http://127.0.0.1:1");
  const store = new PayloadStore(databases[0]!, { log: silentLogger });
  fetcher = new PayloadFetcher({ store, view, authentication: new PeerAuthentication(view, me), log: silentLogger });
});
afterEach(async () => {
  await fetcher.close();
  await Promise.all(servers.map((server) => server.close(0)));
  await Promise.all(databases.map((database) => database.close()));
  rmSync(path, { recursive: true });
});

test("a payload comes from the peer that has it, past one that lies and one that is not there", async () => {
  const bytes = utf8('{"model":"m"}');
  await held.put({ hash: sha256(bytes), bytes });
  const from = [liar.operator, newIdentity().operator, holder.operator];
  expect(await fetcher.fetch(toHex(sha256(bytes)), from)).toEqual(bytes);
});

test("a finish record is known by the root of its statement", async () => {
  const record = inference.FinishRecord.fromPartial({ executor: holder.operator, tokenIds: [1, 2] });
  const bytes = inference.FinishRecord.encode(record).finish();
  const root = sha256(statementOf(view.chainId, record));
  await held.put({ hash: root, bytes }, { hash: sha256(root), bytes });
  expect(await fetcher.fetch(toHex(root), [holder.operator])).toEqual(bytes);
  expect(await fetcher.fetch(toHex(sha256(root)), [holder.operator])).toBeUndefined();
});

test("an artifact opens to a validator when its own values are committed, to all when the check is over", async () => {
  const { PENDING, ANSWERED, COMMITTEE, VALID } = verification.CheckStatus;
  const artifactRoot = sha256(utf8("artifact root"));
  const record = inference.FinishRecord.fromPartial({
    inferenceId: sha256(utf8("id")),
    artifactRoot,
    tokenIds: [1, 2],
    artifact: utf8("artifact"),
  });
  const root = sha256(statementOf(view.chainId, record));
  await held.put({ hash: root, bytes: inference.FinishRecord.encode(record).finish() });
  const seen = async (): Promise<string> => {
    const bytes = await fetcher.fetch(toHex(root), [holder.operator]);
    const { tokenIds, artifact } = inference.FinishRecord.decode(bytes!);
    expect(tokenIds).toEqual([1, 2]);
    return new TextDecoder().decode(artifact);
  };
  const open = (status: verification.CheckStatus, validator: string, commitment: Uint8Array) => {
    const duties = [verification.Duty.fromPartial({ validator, commitment })];
    check = verification.Check.fromPartial({ status, duties });
  };
  check = undefined; // not drawn yet
  expect(await seen()).toBe("");
  open(PENDING, me.operator, new Uint8Array());
  expect(await seen()).toBe("");
  open(PENDING, liar.operator, artifactRoot);
  expect(await seen()).toBe("");
  open(ANSWERED, liar.operator, artifactRoot);
  expect(await seen()).toBe("");
  open(COMMITTEE, me.operator, artifactRoot);
  expect(await seen()).toBe("artifact");
  open(VALID, liar.operator, artifactRoot);
  expect(await seen()).toBe("artifact");
});

test("what nobody has is undefined", async () => {
  expect(await fetcher.fetch("00".repeat(32), [liar.operator, holder.operator])).toBeUndefined();
});
