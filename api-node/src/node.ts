import { type Logger, signDigest } from "@karat/common";
import type { Metrics } from "@karat/common/http";
import type { Router } from "express";
import { Holds } from "./chain/deposits.ts";
import type { ChainView } from "./chain/view.ts";
import type { ExecutedIds } from "./executor/executedIds.ts";
import { LocalExecutor } from "./executor/localExecutor.ts";
import type { MlPool } from "./executor/mlPool.ts";
import type { NodeIdentity } from "./identity.ts";
import { createApp } from "./network/app.ts";
import { modelRoutes } from "./network/models.ts";
import type { PayloadSink } from "./payloads/payload.ts";
import { PeerAuthentication } from "./peers/authentication.ts";
import { executeRoute } from "./peers/executeRoute.ts";
import { KeptConnections } from "./peers/keptConnections.ts";
import { EXECUTE_PATH, RemoteExecutors } from "./peers/remoteExecutor.ts";
import type { RecordSink } from "./records/record.ts";
import { type ListeningServer, listen, type Route } from "./server.ts";
import type { ModelAliases } from "./transferAgent/clientRequest.ts";
import { HedgeBudget, type HedgeOptions } from "./transferAgent/hedging.ts";
import { type AnswerStore, IdempotentAnswers } from "./transferAgent/idempotency.ts";
import { ClientLimits, type LimitOptions } from "./transferAgent/limits.ts";
import { observeInferences } from "./transferAgent/observer.ts";
import { type ReceiptTimeoutOptions, ReceiptTimeouts } from "./transferAgent/receiptTimeouts.ts";
import { TransferAgent } from "./transferAgent/transferAgent.ts";

export interface ApiNodeOptions {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** Longest silence of an executor after its receipt. */
  readonly idleMs?: number;
  /** Silence within an answer that is never taken for a stall. */
  readonly leastStallMs?: number;
  /** Executors asked for one request. */
  readonly maxAttempts?: number;
  readonly maxPromptTokens?: number;
  /** Names by which clients may ask for models, and the models' ids. */
  readonly aliases?: ModelAliases;
  readonly limits?: LimitOptions;
  readonly receipts?: ReceiptTimeoutOptions;
  readonly hedges?: HedgeOptions;
  /** How long a whole answer waits for its transfer agent to close the connection on which it was given. */
  readonly wordMs?: number;
}

export interface ApiNodeModules {
  readonly identity: NodeIdentity;
  readonly view: ChainView;
  readonly ml: MlPool;
  readonly records: RecordSink;
  readonly payloads: PayloadSink;
  readonly executed: ExecutedIds;
  /** Answers by idempotency key that outlive the process; without it they do not. */
  readonly answers?: AnswerStore;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Further public routes; they may authenticate peers. */
  readonly routers?: (authentication: PeerAuthentication) => readonly Router[];
}

export interface ApiNode {
  readonly port: number;
  readonly limits: ClientLimits;
  /** Lets running requests finish for `withinMs`, then cuts them off. */
  close(withinMs?: number): Promise<void>;
}

/** The public half of an API node: transfer agent towards clients, executor towards peers. */
export async function createApiNode(options: ApiNodeOptions, modules: ApiNodeModules): Promise<ApiNode> {
  const { identity, view, ml, records, payloads, executed, metrics, log } = modules;
  const authentication = new PeerAuthentication(view, identity);
  const own = new LocalExecutor({
    view,
    identity,
    ml,
    records,
    payloads,
    executed,
    log,
  });
  const peers = new RemoteExecutors(authentication);
  const connections = new KeptConnections(options.wordMs ?? 2_000);
  const limits = new ClientLimits(options.limits);
  const observer = observeInferences(metrics);
  metrics.gauge("karat_requests_running", "Client requests in progress.", () => limits.running);
  const agent = new TransferAgent({
    view,
    identity,
    ml,
    records,
    payloads,
    limits,
    answers: new IdempotentAnswers(modules.answers ? { store: modules.answers } : {}),
    observer,
    log,
    holds: new Holds(() => view.height()),
    ...(options.maxPromptTokens === undefined ? {} : { maxPromptTokens: options.maxPromptTokens }),
    ...(options.aliases === undefined ? {} : { aliases: options.aliases }),
    dispatch: {
      // A request that this node executes itself does not leave the process.
      executorOf: (candidate) => (candidate.member.operator === identity.operator ? own : peers.of(candidate)),
      signPart: (id) => signDigest(id, identity.privateKey),
      timeouts: new ReceiptTimeouts(options.receipts),
      hedges: new HedgeBudget(options.hedges),
      log,
      idleMs: options.idleMs ?? 60_000,
      maxAttempts: options.maxAttempts ?? 8,
      leastStallMs: options.leastStallMs ?? 2_000,
      onBreak: (_executor, reason) => observer.brokeOff(reason),
      onSkip: (_executor, reason) => observer.skipped(reason),
      onHedge: () => observer.hedged(),
    },
  });
  const hot = new Map<string, Route>([
    ["POST /v1/responses", (request, response) => agent.handle("responses", request, response)],
    ["POST /v1/chat/completions", (request, response) => agent.handle("chat", request, response)],
    ["POST /v1/completions", (request, response) => agent.handle("text", request, response)],
    ["POST /v1/embeddings", (request, response) => agent.handle("embeddings", request, response)],
    [`POST ${EXECUTE_PATH}`, executeRoute(authentication, own, connections)],
  ]);
  const created = Math.floor(Date.now() / 1_000);
  const app = createApp(
    [modelRoutes(view, created, options.aliases), ...(modules.routers?.(authentication) ?? [])],
    log,
  );
  const server: ListeningServer = await listen({ hot, other: app }, options.host, options.port);
  return {
    port: server.port,
    limits,
    close: async (withinMs = 0) => {
      connections.close();
      await server.close(withinMs);
      await peers.close();
    },
  };
}
