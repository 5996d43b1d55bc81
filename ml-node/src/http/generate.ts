/**
 * POST /karat/v1/generate: newline-delimited JSON, `start` once the engine has taken the job, a `token` each, then `end` or `error`. With
 * `stream: false` a token that comes within 50 ms of the last write waits for the next line. With `input`, an embedding: `embeddings.ts`.
 */
import { toBase64, toHex, utf8 } from "@karat/common";
import { openAiError } from "@karat/common/openai";
import { sha256 } from "@karat/rules";
import type { Request, Response } from "express";
import { answer } from "../service/answer.ts";
import { buildArtifact, promptHash } from "../service/artifact.ts";
import { booleanField, idsField, integerField, isEmbedding, readKaratRequest, record } from "../service/requests.ts";
import { bodyOf, type NodeContext, requestSignal, requireModel } from "./context.ts";
import { generateEmbedding } from "./embeddings.ts";
import { LineWriter } from "./lineWriter.ts";
import { AnswerMeter } from "./meter.ts";

/** Of an answer that nobody reads yet, what comes this soon after the last write goes out with the next line, whenever that comes. */
const LUMP_MS = 50;

export async function generate(context: NodeContext, request: Request, response: Response): Promise<void> {
  const fields = record(bodyOf(request));
  if (isEmbedding(fields)) return generateEmbedding(context, fields, response);
  const asked = readKaratRequest(fields);
  const topLogprobs = integerField(fields, "top_logprobs", 0, 20, 0);
  const prefixIds = idsField(fields, "prefix_token_ids");
  requireModel(context, asked.model);
  const meter = new AnswerMeter(context.metrics);
  const events = answer(
    context.engine,
    { ...asked, prefixIds, topLogprobs, recordTop: context.artifact.k, earlyStart: true },
    requestSignal(context, response),
  );
  const lines = new LineWriter(response, booleanField(fields, "stream", true) ? 0 : LUMP_MS);
  try {
    for await (const event of events) {
      meter.observe(event);
      switch (event.type) {
        case "start":
          response.status(200).set({ "content-type": "application/x-ndjson", "cache-control": "no-store" });
          await lines.write({
            type: "start",
            prompt_tokens: event.promptIds.length,
            prompt_hash: toHex(promptHash(event.promptIds)),
            max_tokens: event.maxTokens,
            ...(event.prefix ? { prefix: { bytes: toBase64(event.prefix.bytes), told: event.prefix.told } } : {}),
          });
          break;
        case "token":
          await lines.hold({ type: "token", ...event.token });
          break;
        case "end": {
          const { artifact, root } = buildArtifact(context.artifact, event, asked);
          lines.end({
            type: "end",
            finish_reason: event.finishReason,
            usage: { prompt_tokens: event.promptIds.length, completion_tokens: event.tokenIds.length },
            token_ids: event.tokenIds,
            text: event.text,
            output_hash: toHex(sha256(utf8(event.text))),
            artifact: toBase64(artifact),
            artifact_root: toHex(root),
          });
        }
      }
    }
  } catch (error) {
    if (!response.headersSent) throw error;
    if (response.writableEnded) return;
    context.logger.warn({ error: String(error) }, "an answer failed after it had begun");
    lines.end({ type: "error", error: openAiError(error).body.error });
  }
}
