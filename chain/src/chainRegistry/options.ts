import { KaratError } from "@karat/common";

/** What a genesis does not say about a network. */
export interface NetworkOptions {
  /** Lower-case letters and digits: the folder's name in the registry. By default the chain id without its revision. */
  readonly chainName?: string;
  readonly prettyName: string;
  readonly networkType: "mainnet" | "testnet" | "devnet";
  /** URLs of CometBFT's RPC. */
  readonly rpc: readonly string[];
  /** URLs of REST. */
  readonly rest: readonly string[];
  /** `<node id>@<host>:<port>`. */
  readonly peers: readonly string[];
  /** Where the genesis is to be had. */
  readonly genesisUrl?: string;
  readonly website?: string;
  readonly gitRepo?: string;
}

const refuse = (message: string, data: Record<string, unknown>): never => {
  throw new KaratError("bad_registry", message, data);
};

/** Throws `bad_registry`. */
export function checkUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    refuse("an address is a whole URL, http or https", { url: text });
  }
  return text;
}

/** Throws `bad_registry`. */
export function parsePeer(text: string): { id: string; address: string } {
  const match = /^([0-9a-f]{40})@([^@\s]+:\d{1,5})$/.exec(text);
  if (match === null) return refuse("a peer is <node id>@<host>:<port>", { peer: text });
  return { id: match[1]!, address: match[2]! };
}

/** Throws `bad_registry`. */
export function chainNameOf(chainId: string, given: string | undefined): string {
  const name =
    given ??
    chainId
      .replace(/-\d+$/, "")
      .toLowerCase()
      .replace(/[^a-z0-9]/g, "");
  return /^[a-z0-9]+$/.test(name) ? name : refuse("a chain's name has lower-case letters and digits", { name });
}
