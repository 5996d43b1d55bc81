import { ChainClient, type FollowedBlock, TxSender } from "@karat/client";
import { createLogger, type Logger, messageOf, toHex } from "@karat/common";
import { createMetrics } from "@karat/common/http";
import { lockFolder } from "@karat/common/lock";
import type { Database } from "lmdb";
import { adminRoutes } from "./admin/app.ts";
import { FollowingView } from "./chain/followingView.ts";
import type { Config } from "./config.ts";
import { ExecutedIds, type IdStore } from "./executor/executedIds.ts";
import { type MlNodeConfig, MlPool, plainUrl } from "./executor/mlPool.ts";
import type { NodeIdentity } from "./identity.ts";
import { createApp } from "./network/app.ts";
import { chainRoutes } from "./network/chainRoutes.ts";
import { clientRoutes } from "./network/clientRoutes.ts";
import { healthRoutes } from "./network/health.ts";
import { Notices } from "./network/notices.ts";
import { createApiNode } from "./node.ts";
import { PayloadFetcher } from "./payloads/fetcher.ts";
import { PayloadStore } from "./payloads/payloadStore.ts";
import { payloadRoutes } from "./payloads/route.ts";
import { PeerAuthentication } from "./peers/authentication.ts";
import { RecordCompactor } from "./records/compactor.ts";
import { EmbeddedQueue } from "./records/embeddedQueue.ts";
import type { JobQueue } from "./records/jobQueue.ts";
import { Outbox } from "./records/outbox.ts";
import { ProgressWatch } from "./records/progressWatch.ts";
import { RedisQueue } from "./records/redisQueue.ts";
import { Relay } from "./records/relay.ts";
import { RecordWriter } from "./records/writer.ts";
import { listen } from "./server.ts";
import { answerStore } from "./storage/answerStore.ts";
import { type NodeDatabase, openDatabase } from "./storage/database.ts";

export interface RunningNode {
  readonly port: number;
  readonly adminPort: number;
  /** Lets running requests finish, sends what waits, and closes everything. */
  stop(): Promise<void>;
}

/** The composition root: everything a participant's API node consists of. */
export async function startNode(
  config: Config,
  log: Logger = createLogger("api-node", config.logLevel),
): Promise<RunningNode> {
  const { operator, privateKey, publicKey } = config;
  const identity: NodeIdentity = { operator, privateKey, publicKey };
  // A second process on these records would sign with the same key, and empty the log that the first one writes.
  const lock = lockFolder(config.dataDir);
  const database = openDatabase(config.dataDir);
  const settings = database.open<unknown>("settings");
  const metrics = createMetrics();

  const cursor = settings as Database<bigint, string>;
  const view = new FollowingView({
    connect: () => ChainClient.connect(config.rpc),
    log,
    cursor: { load: () => cursor.get("cursor"), save: (height) => void cursor.put("cursor", height) },
  });
  const height = (): bigint | undefined => (view.ready ? view.height() : undefined);

  const ml = new MlPool({ log, idleMs: config.idleMs });
  // What an administrator has added or disabled stays so; where the settings name a node, its token is theirs.
  const stored = (settings.get("ml-nodes") ?? []) as MlNodeConfig[];
  const kept = new Map(stored.map((node) => [plainUrl(node.url), node]));
  const given = config.mlUrls.map((url) => ({
    url,
    ...(config.mlToken === undefined ? {} : { token: config.mlToken }),
    enabled: kept.get(plainUrl(url))?.enabled ?? true,
  }));
  for (const { url } of given) kept.delete(plainUrl(url));
  for (const node of [...given, ...kept.values()]) await ml.add(node);
  const keepMlNodes = async (): Promise<void> => {
    await settings.put("ml-nodes", ml.configs());
  };

  const outbox = new Outbox(database);
  const queue = createQueue(config, database, log);
  let sender: TxSender | undefined;
  const recordsPerTx = metrics.histogram(
    "karat_records_per_transaction",
    "Records in one transaction.",
    [1, 4, 16, 64, 192],
  );
  const compactor = new RecordCompactor(view, (address) => view.client.query.account(address));
  const writer = new RecordWriter({
    outbox,
    sender: () => (sender ??= new TxSender({ client: view.client, privateKey, log, follower: view })),
    compact: (batch) => compactor.compact(batch),
    chainId: () => view.chainId,
    operator,
    height,
    log,
    onBatch: (records) => recordsPerTx.observe(records),
  });
  const relay = new Relay({ outbox, queue, deliver: (key) => writer.deliver(key), height, log });

  const watch = new ProgressWatch({ outbox, progress: (refs) => view.client.query.progress(refs), log });

  const executed = new ExecutedIds(idStore(database));
  const payloads = new PayloadStore(database, {
    log,
    quotaBytes: config.payloadQuotaBytes,
    retentionMs: config.payloadRetentionMs,
  });
  const fetcher = new PayloadFetcher({
    store: payloads,
    view,
    authentication: new PeerAuthentication(view, identity),
    log,
  });
  const notices = new Notices(database);
  view.onBlock((block: FollowedBlock) => {
    relay.wake();
    void watch.look();
    executed.forgetBelow(block.height - view.params().maxAnchorAge);
    notices.take(block).catch((error) => log.error({ error: messageOf(error) }, "Notices could not be kept."));
  });

  metrics.gauge("karat_outbox_records", "Records that are not on chain yet.", () => outbox.size);
  metrics.gauge("karat_dead_letters", "Records that were given up.", () => outbox.deadCount);
  metrics.gauge("karat_chain_height", "Newest known height.", () => Number(height() ?? 0n));
  metrics.gauge(
    "karat_ml_nodes_healthy",
    "ML nodes that answer.",
    () => ml.states().filter((node) => node.healthy).length,
  );
  metrics.gauge("karat_payload_bytes", "Bytes in the payload store.", () => payloads.size);

  let draining = false;
  const readiness = (): string[] => [
    ...(draining ? ["draining"] : []),
    ...(view.ready ? registrationFaults(view, config) : ["chain_unavailable"]),
    ...(ml.states().some(({ healthy, enabled }) => healthy && enabled) ? [] : ["no_ml_node"]),
  ];

  await ml.start();
  view.start();
  relay.start();
  const node = await createApiNode(
    {
      host: config.host,
      port: config.port,
      idleMs: config.idleMs,
      limits: {
        perMinute: config.requestsPerMinute,
        tokensPerMinute: config.tokensPerMinute,
        concurrency: config.concurrency,
      },
      aliases: config.aliases,
      ...(config.maxPromptTokens === undefined ? {} : { maxPromptTokens: config.maxPromptTokens }),
    },
    {
      identity,
      view,
      ml,
      records: outbox,
      payloads,
      executed,
      answers: answerStore(database),
      metrics,
      log,
      routers: (authentication) => [
        healthRoutes(readiness),
        chainRoutes({ view, query: () => view.client.query, prove: (id) => view.client.proveInference(id) }),
        clientRoutes(view, notices),
        payloadRoutes(payloads, authentication, (id) => view.client.query.check(id)),
      ],
    },
  );
  const admin = await listen(
    {
      hot: new Map(),
      other: createApp(
        [
          healthRoutes(readiness),
          adminRoutes({
            ml,
            onMlChanged: keepMlNodes,
            outbox,
            height: () => view.height(),
            queue,
            payloads: fetcher,
            metrics,
            token: config.adminToken,
          }),
        ],
        log,
      ),
    },
    config.adminHost,
    config.adminPort,
  );

  return {
    port: node.port,
    adminPort: admin.port,
    stop: async () => {
      draining = true;
      log.info({ running: node.limits.running }, "Stopping: running requests are finished first.");
      await node.close(config.drainMs);
      await relay.close();
      await writer.close(FLUSH_MS); // what has no result then stays in the outbox
      await view.close();
      await queue.close();
      await ml.close();
      await admin.close(0);
      await fetcher.close();
      await database.close();
      lock.release();
    },
  };
}

/** How long a stopping node waits for its last transaction. */
const FLUSH_MS = 5_000;

function createQueue(config: Config, database: NodeDatabase, log: Logger): JobQueue {
  // One queue for each node key, for it has one writer.
  const name = `records-${toHex(config.publicKey).slice(0, 16)}`;
  if (config.redisUrl !== undefined) return new RedisQueue({ url: config.redisUrl, name, log });
  log.warn({}, "No Redis: records go through the embedded queue, which is for networks on one machine.");
  return new EmbeddedQueue(database, name, log);
}

/** What of this node's settings is not what the chain has registered: its receipts and records would be refused. */
function registrationFaults(view: FollowingView, { operator, publicKey, publicUrl }: Config): string[] {
  const registered = view.participant(operator);
  if (!registered) return ["not_registered"];
  const faults: string[] = [];
  if (toHex(registered.nodeKey) !== toHex(publicKey)) faults.push("node_key_differs");
  if (publicUrl !== undefined && registered.url !== publicUrl) faults.push("public_url_differs");
  return faults;
}

const EXECUTED = "executed";

function idStore(database: NodeDatabase): IdStore {
  const ids = database.open<bigint>(EXECUTED);
  return {
    load: () => [...ids.getRange()].map(({ key, value }) => [key, value] as const),
    put: (id, anchorHeight) => void database.log([{ database: EXECUTED, key: id, value: anchorHeight }]),
    delete: (id) => {
      database.now();
      void ids.remove(id);
    },
  };
}
