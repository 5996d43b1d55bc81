/** A thread of the SignaturePool: packed checks in, one byte of verdict each out. */
import { parentPort } from "node:worker_threads";
import { verifyPacked } from "./verified.ts";

const port = parentPort;
if (port === null) throw new Error("this file runs in a worker thread");
port.on("message", ({ id, packed }: { id: number; packed: Uint8Array }) => {
  port.postMessage({ id, verdicts: verifyPacked(packed) });
});
