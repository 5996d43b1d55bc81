import { fromBase64, KaratError, toBase64 } from "@karat/common";
import { z } from "zod";
import type { ExecuteLine, ExecuteRequest, TokenLine } from "../executor/protocol.ts";

/** `POST /karat/v1/execute` as JSON: bytes are base64. */
const base64 = z
  .string()
  .max(4_000_000)
  .regex(/^[A-Za-z0-9+/]*={0,2}$/)
  .transform(fromBase64);

/** Tokens of an answer that may be continued. */
const MAX_PREFIX = 131_072;

const requestBody = z.object({
  authorization: base64,
  signature: base64,
  request: z.string().max(4_000_000),
  attempt: z.int().min(0).max(1_000),
  skips: z
    .array(z.object({ attempt: z.int().min(0), reason: z.string().max(200), busy_signature: base64.optional() }))
    .max(64),
  prefix: z.array(z.int().min(0)).max(MAX_PREFIX).optional(),
  prefix_signature: base64.optional(),
  order_start: base64.optional(),
  stream: z.boolean().optional(),
});

export function encodeExecuteRequest(request: ExecuteRequest): string {
  return JSON.stringify({
    authorization: toBase64(request.authorization),
    signature: toBase64(request.signature),
    request: request.request,
    attempt: request.attempt,
    skips: request.skips.map(({ attempt, reason, busySignature }) => ({
      attempt,
      reason,
      ...(busySignature ? { busy_signature: toBase64(busySignature) } : {}),
    })),
    ...(request.stream === false ? { stream: false } : {}),
    ...(request.prefix ? { prefix: request.prefix } : {}),
    ...(request.prefixSignature ? { prefix_signature: toBase64(request.prefixSignature) } : {}),
    ...(request.orderStart ? { order_start: toBase64(request.orderStart) } : {}),
  });
}

/** Throws KaratError `invalid_request` naming the field. */
export function decodeExecuteRequest(body: unknown): ExecuteRequest {
  const {
    skips,
    prefix,
    prefix_signature: prefixSignature,
    order_start: orderStart,
    stream,
    ...rest
  } = parse(requestBody, body);
  return {
    ...rest,
    ...(stream === false ? { stream } : {}),
    ...(prefix ? { prefix } : {}),
    ...(prefixSignature ? { prefixSignature } : {}),
    ...(orderStart ? { orderStart } : {}),
    skips: skips.map(({ attempt, reason, busy_signature: busySignature }) => ({
      attempt,
      reason,
      ...(busySignature ? { busySignature } : {}),
    })),
  };
}

const alternative = { id: z.int(), token: z.string(), bytes: z.array(z.int()), logprob: z.number() };
const receiptLine = z.object({ type: z.literal("receipt"), receipt: base64, signature: base64 });
const busyLine = z.object({ type: z.literal("busy"), signature: base64 });
const endLine = z.object({
  type: z.literal("end"),
  finish_reason: z.enum(["stop", "length", "stop_sequence", "cancelled"]),
  usage: z.object({ prompt_tokens: z.int().min(0), completion_tokens: z.int().min(0) }),
  token_ids: z.array(z.int().min(0)),
  text: z.string(),
  prompt_hash: z.string().regex(/^[0-9a-f]{64}$/),
  artifact: z.string(),
  response: base64,
  response_signature: base64,
});
const errorLine = z.object({
  type: z.literal("error"),
  error: z.object({
    code: z
      .string()
      .nullable()
      .transform((code) => code ?? "executor_failed"),
    message: z.string(),
  }),
});
const tokenLine = z.object({
  type: z.literal("token"),
  ...alternative,
  text: z.string(),
  top: z.array(z.object(alternative)).max(64),
});
const anyLine = z.discriminatedUnion("type", [receiptLine, busyLine, endLine, errorLine, tokenLine]);

/** One line of the answer as it goes over the wire, line feed included. */
export function encodeExecuteLine(line: ExecuteLine): string {
  // Token lines, the many, hold no bytes: without a replacer they are several times cheaper.
  return `${line.type === "token" ? JSON.stringify(line) : JSON.stringify(line, bytesAsBase64)}\n`;
}

const bytesAsBase64 = (_key: string, value: unknown): unknown =>
  value instanceof Uint8Array ? toBase64(value) : value;

/** Throws KaratError `invalid_request` on a line that is none of those of the protocol. */
export function decodeExecuteLine(value: unknown): ExecuteLine {
  return isPlainToken(value) ? value : (parse(anyLine, value) as ExecuteLine);
}

/** A token without alternatives, which nearly all lines are: known at a glance. */
function isPlainToken(value: unknown): value is TokenLine {
  if (typeof value !== "object" || value === null) return false;
  const { type, id, token, bytes, logprob, text, top } = value as Record<string, unknown>;
  return (
    type === "token" &&
    Number.isSafeInteger(id) &&
    typeof token === "string" &&
    typeof logprob === "number" &&
    typeof text === "string" &&
    Array.isArray(top) &&
    top.length === 0 &&
    Array.isArray(bytes) &&
    bytes.every(Number.isSafeInteger)
  );
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const param = issue?.path.join(".") || "body";
  throw new KaratError("invalid_request", `${param}: ${issue?.message ?? "not as expected"}`, { param });
}
