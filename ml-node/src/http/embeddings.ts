/** Vectors of texts: POST /karat/v1/generate with `input` (`start`, then `end` or `error`; no tokens), and POST /v1/embeddings. */
import { toBase64, toHex } from "@karat/common";
import { embeddingFormat, embeddingList, openAiError, requireDimensions } from "@karat/common/openai";
import { sanitizeEmbedding, sha256, shortened, vectorBytes } from "@karat/rules";
import type { Request, Response } from "express";
import { promptHash } from "../service/artifact.ts";
import { dimensionsOf, embedding, vectorArtifact } from "../service/embedding.ts";
import { hex32, idsField, invalid, readTexts, record } from "../service/requests.ts";
import { bodyOf, type NodeContext, requestSignal, requireModel } from "./context.ts";
import { LineWriter } from "./lineWriter.ts";
import { AnswerMeter } from "./meter.ts";

/** An embedding has no text. */
const OUTPUT_HASH = toHex(sha256(new Uint8Array()));

export async function generateEmbedding(
  context: NodeContext,
  fields: Readonly<Record<string, unknown>>,
  response: Response,
): Promise<void> {
  if (typeof fields.model !== "string") throw invalid("model", "must be a string");
  requireModel(context, fields.model);
  const inferenceId = hex32(fields, "inference_id");
  const texts = readTexts(fields);
  if (idsField(fields, "prefix_token_ids").length > 0) {
    throw invalid("prefix_token_ids", "an embedding goes behind nothing");
  }
  const meter = new AnswerMeter(context.metrics);
  const lines = new LineWriter(response, 0);
  try {
    for await (const event of embedding(context.engine, texts, requestSignal(context, response))) {
      const { promptIds } = event;
      if (event.type === "start") {
        response.status(200).set({ "content-type": "application/x-ndjson", "cache-control": "no-store" });
        await lines.write({
          type: "start",
          prompt_tokens: promptIds.length,
          prompt_hash: toHex(promptHash(promptIds)),
          max_tokens: texts.length,
        });
        continue;
      }
      meter.embedded(promptIds.length, texts.length);
      const { artifact, root } = vectorArtifact(event, inferenceId);
      lines.end({
        type: "end",
        finish_reason: "length",
        usage: { prompt_tokens: promptIds.length, completion_tokens: texts.length },
        token_ids: event.tokenIds,
        text: "",
        output_hash: OUTPUT_HASH,
        artifact: toBase64(artifact),
        artifact_root: toHex(root),
      });
    }
  } catch (error) {
    if (!response.headersSent) throw error;
    context.logger.warn({ error: String(error) }, "an embedding failed after it had begun");
    lines.end({ type: "error", error: openAiError(error).body.error });
  }
}

export async function embeddings(context: NodeContext, request: Request, response: Response): Promise<void> {
  const body = record(bodyOf(request));
  const { model, input } = sanitizeEmbedding(body);
  requireModel(context, model);
  if ((body.stream ?? false) !== false) throw invalid("stream", "embeddings come in one piece");
  const { encoding, dimensions } = embeddingFormat(body);
  requireDimensions(dimensions, dimensionsOf(context.engine));
  const meter = new AnswerMeter(context.metrics);
  for await (const event of embedding(context.engine, input, requestSignal(context, response))) {
    if (event.type === "start") continue;
    const { promptIds, vectors } = event;
    meter.embedded(promptIds.length, vectors.length);
    const usage = { prompt_tokens: promptIds.length, total_tokens: promptIds.length };
    const shown = dimensions === undefined ? vectors : vectors.map((vector) => shortened(vector, dimensions));
    response.json(embeddingList(model, shown.map(vectorBytes), encoding, usage));
  }
}
