import { createHmac, createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { sharedSecret } from "@karat/common";
import { CLOCK_WINDOW_MS, openRequest, type PeerFields, ReplayGuard, sealRequest } from "@karat/common/http";
import { encodeSigned } from "@karat/proto";
import type { ChainView } from "../chain/view.ts";
import type { NodeIdentity } from "../identity.ts";

interface PeerKey {
  /** The registered node key that it was derived with. */
  readonly nodeKey: Uint8Array;
  readonly key: KeyObject;
}

const MAX_KEYS = 16_384;

/**
 * Authenticates this node's requests to peers, and theirs to it: with a key that the two node keys have in common, so that nobody has to sign
 * what no third party is ever shown.
 */
export class PeerAuthentication {
  readonly #view: ChainView;
  readonly #identity: NodeIdentity;
  readonly #guard = new ReplayGuard({ windowMs: 2 * CLOCK_WINDOW_MS });
  /** By operator: deriving one costs as much as several signatures. */
  readonly #keys = new Map<string, PeerKey>();

  constructor(view: ChainView, identity: NodeIdentity) {
    this.#view = view;
    this.#identity = identity;
  }

  /** Throws `peer_unauthorized` when the audience is no participant. */
  headers(audience: string, method: string, path: string, body: Uint8Array): Record<string, string> {
    const mac = (fields: PeerFields) => this.#mac(audience, fields);
    return sealRequest({ sender: this.#identity.operator, audience, method, path, body, mac });
  }

  /** Operator address of the sender. Throws `peer_unauthorized`, `peer_replayed` or `peer_overloaded`. */
  sender(request: { headers: IncomingHttpHeaders; method: string; path: string; body: Uint8Array }): string {
    const mac = (fields: PeerFields) => this.#mac(fields.sender, fields);
    return openRequest({ ...request, audience: this.#identity.operator, guard: this.#guard, mac });
  }

  /** `peer`: the other one, whoever of the two sends. */
  #mac(peer: string, fields: PeerFields): Uint8Array | undefined {
    const key = this.#keyWith(peer);
    return (
      key &&
      createHmac("sha256", key)
        .update(encodeSigned("peer", { chainId: this.#view.chainId, ...fields }))
        .digest()
    );
  }

  #keyWith(peer: string): KeyObject | undefined {
    const nodeKey = this.#view.participant(peer)?.nodeKey;
    if (!nodeKey) return undefined;
    const known = this.#keys.get(peer);
    if (known && Buffer.compare(known.nodeKey, nodeKey) === 0) return known.key;
    const secret = sharedSecret(this.#identity.privateKey, nodeKey);
    const key = createSecretKey(Buffer.from(hkdfSync("sha256", secret, "", "karat/peer-mac/v1", 32)));
    if (this.#keys.size >= MAX_KEYS) this.#keys.delete(this.#keys.keys().next().value!);
    this.#keys.set(peer, { nodeKey, key });
    return key;
  }
}
