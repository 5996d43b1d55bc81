import { fromBase64, toBase64 } from "@karat/common";
import { epoch } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import { fromGenesisJson, genesisAmount, genesisList, genesisObject, invalidGenesis } from "../support/genesis.ts";
import { genesisBeacon } from "./beacon.ts";
import type { EpochDeps } from "./expects.ts";
import type { EpochKeeper } from "./keeper.ts";
import { beacons, currentNumber, epochs, newestBeacon, STORE } from "./keys.ts";
import { updateValidators } from "./switchEpoch.ts";
import { snapshot } from "./transition.ts";

/**
 * Nothing for a new chain: epoch 0 has the participants of genesis. Of an exported one
 * `{epochs: [proto JSON], beacon: {height, value}, validators: [{publicKey, power}]}`, bytes in base64.
 * Runs after the participants' genesis.
 */
export function initEpochs(keeper: EpochKeeper, deps: EpochDeps, ctx: Context, state: unknown): void {
  const given = genesisObject(state, "epoch", ["epochs", "beacon", "validators"]);
  const rows = genesisList(given.epochs, "epoch.epochs");
  if (rows.length === 0) startEpochs(keeper, deps, ctx);
  else resumeEpochs(keeper, ctx, rows, given);
}

function startEpochs(keeper: EpochKeeper, deps: EpochDeps, ctx: Context): void {
  const store = ctx.store(STORE);
  const rules = deps.params.get(ctx);
  const startHeight = ctx.height > 1n ? ctx.height : 1n;
  const members = snapshot(deps.participants.all(ctx), rules);
  const endHeight = startHeight + rules.epochBlocks - 1n;
  epochs.set(store, 0n, { number: 0n, startHeight, endHeight, members, settled: false });
  currentNumber.set(store, 0n);
  beacons.set(store, startHeight - 1n, genesisBeacon(ctx.chainId));
  newestBeacon.set(store, startHeight - 1n);
  updateValidators(keeper, deps, ctx);
}

function resumeEpochs(
  keeper: EpochKeeper,
  ctx: Context,
  rows: readonly unknown[],
  given: Record<string, unknown>,
): void {
  const store = ctx.store(STORE);
  let last: epoch.Epoch | undefined;
  rows.forEach((json, i) => {
    const entry = fromGenesisJson(epoch.Epoch, json, `epoch.epochs[${i}]`);
    const follows =
      last === undefined || (entry.number === last.number + 1n && entry.startHeight === last.endHeight + 1n);
    if (!follows || entry.endHeight < entry.startHeight) throw invalidGenesis(`epoch.epochs[${i}] leaves a gap`);
    epochs.set(store, entry.number, entry);
    last = entry;
  });
  currentNumber.set(store, last!.number);

  const beacon = genesisObject(given.beacon, "epoch.beacon", ["height", "value"]);
  const height = genesisAmount(beacon.height, "epoch.beacon.height");
  beacons.set(store, height, bytesOf(beacon.value, "epoch.beacon.value"));
  newestBeacon.set(store, height);
  keeper.setValidators(
    ctx,
    genesisList(given.validators, "epoch.validators").map((json, i) => {
      const where = `epoch.validators[${i}]`;
      const { publicKey, power } = genesisObject(json, where, ["publicKey", "power"]);
      return { publicKey: bytesOf(publicKey, where), power: genesisAmount(power, where) };
    }),
  );
}

export function exportEpochs(keeper: EpochKeeper, ctx: Context): unknown {
  const store = ctx.store(STORE);
  const height = newestBeacon.get(store) ?? 0n;
  return {
    epochs: Array.from(epochs.entries(store), ([, entry]) => epoch.Epoch.toJSON(entry)),
    beacon: { height: height.toString(), value: toBase64(keeper.beacon(ctx, height) ?? genesisBeacon(ctx.chainId)) },
    validators: keeper
      .validators(ctx)
      .map(({ publicKey, power }) => ({ publicKey: toBase64(publicKey), power: power.toString() })),
  };
}

/** 32 bytes in base64. */
function bytesOf(value: unknown, where: string): Uint8Array {
  const decoded = typeof value === "string" ? fromBase64(value) : new Uint8Array();
  if (decoded.length !== 32) throw invalidGenesis(`${where} must be 32 bytes in base64`);
  return decoded;
}
