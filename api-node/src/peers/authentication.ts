import type { IncomingHttpHeaders } from "node:http";
import { signMessage, verifyMessage } from "@karat/client";
import { CLOCK_WINDOW_MS, type PeerFields, ReplayGuard, signRequest, verifyRequest } from "@karat/common/http";
import type { ChainView } from "../chain/view.ts";
import type { NodeIdentity } from "../identity.ts";

/** Signs this node's requests to peers, and checks theirs against the registered node keys. */
export class PeerAuthentication {
  readonly #view: ChainView;
  readonly #identity: NodeIdentity;
  readonly #guard = new ReplayGuard({ windowMs: 2 * CLOCK_WINDOW_MS });

  constructor(view: ChainView, identity: NodeIdentity) {
    this.#view = view;
    this.#identity = identity;
  }

  headers(audience: string, method: string, path: string, body: Uint8Array): Record<string, string> {
    const { operator: sender, privateKey } = this.#identity;
    const { chainId } = this.#view;
    const sign = (fields: PeerFields) => signMessage("peer", { chainId, ...fields }, privateKey).signature;
    return signRequest({ sender, audience, method, path, body, sign });
  }

  /** Operator address of the sender. Throws `peer_unauthorized`, `peer_replayed` or `peer_overloaded`. */
  async sender(request: {
    headers: IncomingHttpHeaders;
    method: string;
    path: string;
    body: Uint8Array;
  }): Promise<string> {
    const { chainId } = this.#view;
    return await verifyRequest({
      ...request,
      audience: this.#identity.operator,
      guard: this.#guard,
      verify: (fields, signature) => {
        const key = this.#view.participant(fields.sender)?.nodeKey;
        return key !== undefined && verifyMessage("peer", { chainId, ...fields }, signature, key);
      },
    });
  }
}
