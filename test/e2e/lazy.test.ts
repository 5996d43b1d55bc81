/** A18: a validator that computes nothing and finds everything valid, in a whole network of honest ones. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { silentLogger, toBase64 } from "@karat/common";
import { bytesToHex, valuesRoot, valuesWindows } from "@karat/rules";
import { afterEach, expect, test } from "vitest";
import { keyFile, url } from "../../scripts/localnet/lib/layout.ts";
import { readConfig, runSidecar } from "../../sidecar/src/index.ts";
import { startNetworkWith, type TestNetwork } from "./support.ts";

/** Whatever it is asked: log-probabilities of its own invention, and a pass. */
function lazyMlNode(): Server {
  return createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const { token_ids: ids, pooled } = JSON.parse(body) as { token_ids: number[]; pooled: { token_ids: number[] }[] };
    const tokens = [ids, ...pooled.map((part) => part.token_ids)].flat();
    const invented = tokens.map((id, i) => ({
      id: 0,
      top: Array.from({ length: 5 }, (_, j) => ({ id: j, logprob: -0.3 - 1.2 * j - ((id + i) % 7) / 20 })),
    }));
    const windows = valuesWindows(invented, { step: "1/128", k: 5 });
    const own = {
      values_hash: bytesToHex(valuesRoot(windows, tokens.length)),
      windows: windows.map(toBase64),
      gated_margins: 0,
      positions: tokens.length,
    };
    const verdict = { verdict: "pass", p_bucket: 1, reason: "ok", statistics: { positions: tokens.length } };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(request.url === "/karat/v1/score/prefill" ? own : verdict));
  });
}

let net: TestNetwork | undefined;
let ml: Server | undefined;
const stop = new AbortController();
let sidecar: Promise<void> | undefined;
afterEach(async () => {
  stop.abort();
  await sidecar;
  ml?.close();
  ml?.closeAllConnections();
  await net?.close();
});

test("is found apart from those who compute, and fined; they are not", async () => {
  // Every verdict is looked at twice, and a machine that stalls makes nobody late.
  net = await startNetworkWith(
    { secondLookMicros: 1_000_000, dutyDeadline: 300n, commitDeadline: 250n, unbondingBlocks: 5_000n },
    "--participants",
    "5",
  );
  const { network, chain, openai, rpc } = net;
  const lazy = network.plan.participants.at(-1)!;
  const honest = network.plan.participants.slice(0, -1);
  await network.end(`sidecar-${lazy.index}`);
  ml = lazyMlNode();
  await new Promise<void>((resolve) => ml!.listen(0, "127.0.0.1", resolve));
  const data = join(network.dir, "participants", String(lazy.index), "lazy");
  const config = readConfig(
    Object.entries({
      rpc,
      ml: url((ml.address() as AddressInfo).port),
      api: url(lazy.ports.admin),
      operator: lazy.address,
      key: keyFile(network.dir, `validator-${lazy.index}`),
      data,
      port: "0",
    }).flatMap(([name, value]) => [`--${name}`, value]),
    {},
  );
  sidecar = runSidecar(config, silentLogger, stop.signal, () => undefined);

  const collateral = (await chain.query.participant(lazy.address))!.collateral;
  const standing = async (operator: string) => (await chain.query.standing(operator))!;
  let asked = 0;
  for (; (await standing(lazy.address)).apart < 2n && asked < 60; asked++) {
    await openai.completions.create({
      model: network.plan.model,
      prompt: `The following function (${asked})`,
      max_tokens: 40,
    });
    await sleep(1_500);
  }
  const found = await standing(lazy.address);
  expect(found.apart).toBeGreaterThanOrEqual(2n);
  expect(found.apart).toBe(found.looks);
  expect((await chain.query.participant(lazy.address))!.collateral).toBeLessThan(collateral);
  const others = await Promise.all(honest.map(({ address }) => standing(address)));
  expect(others.map(({ apart }) => apart)).toEqual([0n, 0n, 0n, 0n]);
  expect(others.map(({ fails }) => fails)).toEqual([0n, 0n, 0n, 0n]);
  expect(others.reduce((sum, { looks }) => sum + looks, 0n)).toBeGreaterThan(2n);
});
