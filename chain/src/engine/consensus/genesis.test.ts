import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type GenesisJson, genesisJson, parseGenesis, singleValidatorGenesis } from "./genesis.ts";
import { ed25519Key } from "./keys.ts";

const recorded = JSON.parse(
  readFileSync(new URL("../../../../test/vectors/comet-rpc-v0.38/genesis.json", import.meta.url), "utf8"),
).result.genesis as GenesisJson;

test("a recorded genesis reads and writes back the same", () => {
  expect(genesisJson(parseGenesis(recorded))).toEqual(recorded);
});

test("a genesis for one validator is complete", () => {
  const json = singleValidatorGenesis({
    chainId: "kv-1",
    timeMs: 1_700_000_000_123,
    validator: ed25519Key(new Uint8Array(32)),
    consensusParams: { block: { max_gas: "50" } },
    appState: { a: "1" },
  });
  const genesis = parseGenesis(json);
  expect(genesis.params.block).toEqual({ maxBytes: 22_020_096n, maxGas: 50n });
  expect(genesis.validators[0]?.power).toBe(10n);
  expect(json.genesis_time).toBe("2023-11-14T22:13:20.123Z");
});

test.each([
  ["no chain id", { chain_id: "" }],
  ["a chain id of over 50 characters", { chain_id: "x".repeat(51) }],
  ["an initial height of zero", { initial_height: "0" }],
  ["a power that is a number", { validators: [{ ...recorded.validators![0]!, power: 10 as unknown as string }] }],
  [
    "a key of another type",
    { validators: [{ power: "1", pub_key: { type: "tendermint/PubKeySecp256k1", value: "" } }] },
  ],
  ["a parameter that is a number", { consensus_params: { block: { max_gas: 5 } } }],
])("refuses %s", (_, change) => {
  expect(() => parseGenesis({ ...recorded, ...change })).toThrow(
    expect.objectContaining({ code: "engine/bad-genesis" }),
  );
});
