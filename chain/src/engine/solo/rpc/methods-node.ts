import { KaratError } from "@karat/common";
import { RequestQuery } from "cosmjs-types/tendermint/abci/types";
import { genesisJson } from "../../consensus/genesis.ts";
import { publicKeyJson } from "../../consensus/keys.ts";
import { formatTime } from "../../consensus/time.ts";
import { COMET_VERSION, INFO_REQUEST } from "../handshake.ts";
import { type Method, method, type RpcContext } from "./context.ts";
import { infoJson, queryJson, upperHex } from "./encode.ts";

/** A genesis is served in pieces of this many bytes; `genesis` answers only when one is enough. */
const GENESIS_CHUNK_BYTES = 16 * 1024 * 1024;

/** The p2p channels a CometBFT node announces; clients require the field though nobody can connect here. */
const CHANNELS = "402021222330386061";

function status(context: RpcContext) {
  const { store, key, genesis } = context;
  const state = context.state();
  const latest = store.meta(state.lastHeight);
  const earliest = store.meta(store.base);
  if (!latest || !earliest) throw new KaratError("engine/store-corrupt", "the latest or earliest block is missing");
  const own = state.validators.find(({ address }) => Buffer.compare(address, key.address) === 0);
  const address = context.address();
  return {
    node_info: {
      protocol_version: { p2p: "8", block: "11", app: state.appVersion.toString() },
      id: Buffer.from(key.address).toString("hex"),
      listen_addr: `tcp://${address}`,
      network: genesis.chainId,
      version: COMET_VERSION,
      channels: CHANNELS,
      moniker: "solo",
      other: { tx_index: "on", rpc_address: `tcp://${address}` },
    },
    sync_info: {
      latest_block_hash: upperHex(latest.blockId.hash),
      latest_app_hash: upperHex(state.appHash),
      latest_block_height: state.lastHeight.toString(),
      latest_block_time: formatTime(latest.header.time),
      earliest_block_hash: upperHex(earliest.blockId.hash),
      earliest_app_hash: upperHex(earliest.header.appHash),
      earliest_block_height: earliest.header.height.toString(),
      earliest_block_time: formatTime(earliest.header.time),
      catching_up: false,
    },
    validator_info: {
      address: upperHex(key.address),
      pub_key: publicKeyJson(key.publicKey),
      voting_power: (own?.power ?? 0n).toString(),
    },
  };
}

const genesisChunks = (context: RpcContext): Buffer[] => {
  const all = Buffer.from(JSON.stringify(genesisJson(context.genesis)));
  const chunks: Buffer[] = [];
  for (let at = 0; at < all.length; at += GENESIS_CHUNK_BYTES) chunks.push(all.subarray(at, at + GENESIS_CHUNK_BYTES));
  return chunks;
};

function refuse(reason: string): never {
  throw new KaratError("rpc/bad-request", reason);
}

/** The node itself, its genesis, and the application's queries. */
export const nodeMethods: Readonly<Record<string, Method>> = {
  health: method({}, () => ({})),
  status: method({}, status),
  net_info: method({}, () => ({ listening: true, listeners: ["Listener(@)"], n_peers: "0", peers: [] })),

  genesis: method({}, (context) =>
    genesisChunks(context).length > 1
      ? refuse("genesis response is large, please use the genesis_chunked API instead")
      : { genesis: genesisJson(context.genesis) },
  ),

  genesis_chunked: method({ chunk: "int64" }, (context, { chunk = 0n }) => {
    const chunks = genesisChunks(context);
    const data = chunks[Number(chunk)];
    if (!data) return refuse(`there are ${chunks.length} chunks, ${chunk} is invalid`);
    return { chunk: chunk.toString(), total: chunks.length.toString(), data: data.toString("base64") };
  }),

  abci_info: method({}, async ({ application }) => ({ response: infoJson(await application.info(INFO_REQUEST)) })),

  abci_query: method(
    { path: "string", data: "hex", height: "int64", prove: "bool" },
    async ({ application }, { path = "", data = new Uint8Array(), height = 0n, prove = false }) => ({
      response: queryJson(await application.query(RequestQuery.fromPartial({ path, data, height, prove }))),
    }),
  ),
};
