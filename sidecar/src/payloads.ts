import { toHex } from "@karat/common";
import { inference } from "@karat/proto";
import { Pool } from "undici";
import type { PayloadSource } from "./evidence.ts";

/**
 * Payloads that ride in no transaction, through the participant's own API node: it has them, or fetches them from the
 * executor or the transfer agent with a signed request and checks that they fit their hashes.
 */
export function payloadsOf(apiUrl: string, token?: string): { fetch: PayloadSource; close(): Promise<void> } {
  const pool = new Pool(apiUrl, { connections: 2, headersTimeout: 30_000, bodyTimeout: 30_000 });
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const get = async (hash: Uint8Array, from: string): Promise<Uint8Array | undefined> => {
    const path = `/admin/v1/payloads/${toHex(hash)}?from=${from}`;
    const { statusCode, body } = await pool.request({ method: "GET", path, headers });
    const bytes = new Uint8Array(await body.arrayBuffer());
    if (statusCode === 404) return undefined;
    if (statusCode !== 200) throw new Error(`the API node answered ${statusCode} to a payload request`);
    return bytes;
  };
  return {
    async fetch({ requestHash, root, executor, transferAgent }) {
      const from = [...new Set([executor, transferAgent])].join(",");
      const [request, finish] = await Promise.all([get(requestHash, from), get(root, from)]);
      if (!finish) return undefined;
      const text = request && new TextDecoder().decode(request);
      return { request: text, finish: inference.FinishRecord.decode(finish) };
    },
    close: () => pool.close(),
  };
}
