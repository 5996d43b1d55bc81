/** Builds genesis files: for `init`, the localnet's scripts and tests. */
import { addressOfKey, DENOM, KaratError, toBase64 } from "@karat/common";
import { params as paramsProto, participant as participantProto } from "@karat/proto";
import type { GenesisJson } from "../engine/consensus/genesis.ts";
import { publicKeyJson } from "../engine/consensus/keys.ts";
import { formatTime, timestampOf } from "../engine/consensus/time.ts";
import { validateGenesis } from "./validateGenesis.ts";

export interface GenesisAccount {
  readonly address: string;
  /** In ukarat; 0 makes an account without money. */
  readonly amount?: bigint;
  readonly publicKey?: Uint8Array;
}

export interface GenesisValidator {
  readonly publicKey: Uint8Array;
  readonly power: bigint;
  readonly name?: string;
}

export interface GenesisOptions {
  readonly chainId: string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly accounts?: readonly GenesisAccount[];
  /** `nodeAddress` and `status` follow by themselves; the collateral is minted. */
  readonly participants?: readonly Partial<participantProto.Participant>[];
  readonly deposits?: readonly { readonly client: string; readonly available: bigint }[];
  /** What differs from the defaults. */
  readonly params?: Partial<paramsProto.Params>;
  readonly models?: readonly paramsProto.Model[];
  /**
   * ed25519 keys and voting power. Needed only where no participant has a consensus key: otherwise the consensus set is
   * that of epoch 0.
   */
  readonly validators?: readonly GenesisValidator[];
  readonly maxBlockBytes?: number;
  readonly maxBlockGas?: number;
}

export const MAX_BLOCK_BYTES = 4 * 1024 * 1024;
/** About two and a half seconds of execution on the reference machine (40 gas per microsecond measured). */
export const MAX_BLOCK_GAS = 100_000_000;

/**
 * A genesis in CometBFT's format that the application has accepted. All accounts of the participants exist in it, so that
 * they can sign before they own anything. Throws KaratError `bad_genesis`, and what `validateGenesis` throws.
 */
export function buildGenesis(options: GenesisOptions): GenesisJson {
  if (!/^[A-Za-z0-9._-]{1,50}$/.test(options.chainId)) {
    throw new KaratError("bad_genesis", "a chain id has 1 to 50 letters, digits, dots, dashes", {
      chainId: options.chainId,
    });
  }
  const genesis: GenesisJson = {
    genesis_time: formatTime(timestampOf(BigInt(options.timeMs) * 1_000_000n)),
    chain_id: options.chainId,
    initial_height: "1",
    consensus_params: {
      block: {
        max_bytes: String(options.maxBlockBytes ?? MAX_BLOCK_BYTES),
        max_gas: String(options.maxBlockGas ?? MAX_BLOCK_GAS),
      },
      evidence: { max_age_num_blocks: "100000", max_age_duration: "172800000000000", max_bytes: "1048576" },
      validator: { pub_key_types: ["ed25519"] },
      version: {},
      abci: { vote_extensions_enable_height: "0" },
    },
    app_hash: "",
    app_state: appState(options),
  };
  const wanted = validateGenesis(genesis).validators;
  const validators: readonly GenesisValidator[] = wanted.length > 0 ? wanted : (options.validators ?? []);
  if (validators.length === 0) throw new KaratError("bad_genesis", "a chain needs a validator");
  return {
    ...genesis,
    validators: validators.map(({ publicKey, power, name }) => ({
      pub_key: publicKeyJson(publicKey),
      power: power.toString(),
      name: name ?? "",
    })),
  };
}

/** The `app_state` alone. */
export function appState(options: Omit<GenesisOptions, "validators" | "timeMs">): Record<string, unknown> {
  const accounts = options.accounts ?? [];
  const participants = (options.participants ?? []).map((entry) => participantProto.Participant.fromPartial(entry));
  const signers = participants.flatMap(({ nodeKey, validatorAddress, operator }) => [
    operator,
    addressOfKey(nodeKey),
    validatorAddress,
  ]);
  const listed = new Set(accounts.map(({ address }) => address));
  const further = [...new Set(signers)].filter((address) => !listed.has(address));
  return {
    auth: {
      accounts: [
        ...accounts.map(({ address, publicKey }) => ({
          address,
          ...(publicKey && { publicKey: toBase64(publicKey) }),
        })),
        ...further.map((address) => ({ address })),
      ],
    },
    bank: {
      balances: accounts
        .filter(({ amount }) => amount !== undefined && amount > 0n)
        .map(({ address, amount }) => ({ address, coins: [{ denom: DENOM, amount: String(amount) }] })),
    },
    params: {
      params: json(options.params ?? {}),
      models: (options.models ?? []).map((model) => paramsProto.Model.toJSON(model)),
    },
    participant: { participants: participants.map((entry) => participantProto.Participant.toJSON(entry)) },
    deposit: {
      deposits: (options.deposits ?? []).map(({ client, available }) => ({ client, available: available.toString() })),
    },
  };
}

/** Proto JSON that says every given field, zeros too: an absent one means the default. */
function json(values: Partial<paramsProto.Params>): Record<string, string | number> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, typeof value === "bigint" ? value.toString() : value]),
  );
}
