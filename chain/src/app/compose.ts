/** The composition root of the state machine: which modules there are, in which order, and who sees what of whom. */
import { KaratError, type Logger, moduleAddress, toHex } from "@karat/common";
import { participant, protocolTypeUrls, typeUrls } from "@karat/proto";
import { type Accounts, createAuthModule } from "../modules/auth/index.ts";
import { createBankModule } from "../modules/bank/index.ts";
import { createDepositModule } from "../modules/deposit/index.ts";
import { createEpochModule, type EpochModule } from "../modules/epoch/index.ts";
import { createGovModule } from "../modules/gov/index.ts";
import { createInferenceModule } from "../modules/inference/index.ts";
import { createParamsModule } from "../modules/params/index.ts";
import { createParticipantModule, type ParticipantModule } from "../modules/participant/index.ts";
import { createReputationModule } from "../modules/reputation/index.ts";
import { createRewardModule } from "../modules/reward/index.ts";
import { createSlashingModule, type SlashingModule } from "../modules/slashing/index.ts";
import { createUpgradeModule } from "../modules/upgrade/index.ts";
import { createVerificationModule } from "../modules/verification/index.ts";
import type { CommitStore } from "../store/types.ts";
import type { MempoolShares } from "./admission.ts";
import type { AnteDeps } from "./ante.ts";
import { APP_VERSION, KaratApp } from "./karatApp.ts";
import type { Context, MessageHandler, Module, QueryHandler, ValidatorUpdate } from "./module.ts";
import { createRouter, type Router } from "./router.ts";
import { configService, nodeService } from "./services/node.ts";
import { type StakingValidator, stakingService } from "./services/staking.ts";
import { txService } from "./services/tx.ts";
import type { SnapshotService } from "./snapshots.ts";
import { SYSTEM_STORE } from "./system.ts";
import type { Program, Upgrades } from "./upgrade.ts";

/** Modules that own coins; their accounts take none from messages. */
export const MODULE_ACCOUNTS = ["community", "deposit", "gov", "participant", "reward"] as const;

/**
 * Every store of the state, for opening a CommitStore. What is written for every inference lies in journals: a tree's path
 * for each of these short-lived records would cost more than all else that is done with them.
 */
export const STORES: { readonly names: readonly string[]; readonly journaled: readonly string[] } = {
  names: [
    SYSTEM_STORE,
    "auth",
    "bank",
    "params",
    "participant",
    "deposit",
    "epoch",
    "reward",
    "inference",
    "verification",
    "reputation",
    "slashing",
    "gov",
    "upgrade",
  ],
  journaled: ["inference", "verification"],
};

export interface Composition {
  readonly modules: readonly Module[];
  readonly endOrder: readonly string[];
  readonly ante: AnteDeps;
  /** The consensus set that the genesis state asks for; none leaves the genesis file's. */
  readonly genesisValidators?: (ctx: Context) => readonly ValidatorUpdate[];
  /** Which rules the state follows; without it, one version for ever. */
  readonly upgrades?: Upgrades;
  /** Queries over several modules. */
  readonly services?: Readonly<Record<string, QueryHandler>>;
}

/** What this program executes. A version that changes results comes with the migration that leads to it. */
export const PROGRAM: Program = { version: APP_VERSION, migrations: new Map() };

/** All modules, wired. Genesis and the beginnings of blocks go through them in the order of the list. */
export function composeModules(program: Program = PROGRAM): Composition {
  const auth = createAuthModule({ moduleAccounts: MODULE_ACCOUNTS });
  const bank = createBankModule({ accounts: auth, blocked: new Set(MODULE_ACCOUNTS.map(moduleAddress)) });
  const params = createParamsModule();
  // Participants tell the epochs of new keys, the epochs read the participants: one of the two has to come first.
  const later: { epochs?: EpochModule; handlers?: Router; slashing?: SlashingModule } = {};
  const participants = createParticipantModule({
    bank,
    params,
    epochs: { refresh: (ctx, entry) => later.epochs!.refresh(ctx, entry) },
  });
  const deposits = createDepositModule({ bank, params });
  const epochs = createEpochModule({
    params,
    participants,
    jail: {
      isJailed: (ctx, key) => later.slashing!.isJailed(ctx, key),
      takeChanged: (ctx) => later.slashing!.takeChanged(ctx),
    },
  });
  later.epochs = epochs;
  const rewards = createRewardModule({ bank, params, participants, epochs });
  const reputation = createReputationModule({ params, participants, epochs, rewards });
  const inferences = createInferenceModule({
    accounts: auth,
    params,
    participants,
    epochs,
    deposits,
    rewards,
    reputation,
  });
  const verification = createVerificationModule({ params, participants, epochs, rewards, reputation, inferences });
  const slashing = createSlashingModule({ params, participants, epochs, rewards });
  later.slashing = slashing;
  const governance = createGovModule({
    bank,
    params,
    participants,
    epochs,
    handler: (typeUrl) => later.handlers!.message(typeUrl)?.handler,
  });
  const upgrades = createUpgradeModule(program.version);
  const modules = [
    auth,
    bank,
    params,
    withAccounts(participants, auth),
    deposits,
    epochs,
    rewards,
    inferences,
    verification,
    reputation,
    slashing,
    governance,
    upgrades,
  ];
  // Passed proposals are carried out by whoever owns their messages.
  later.handlers = createRouter(modules);
  return {
    modules,
    endOrder: ["inference", "verification", "reputation", "reward", "epoch"],
    ante: {
      accounts: auth,
      bank,
      feeCollector: moduleAddress("community"),
      protocolTypeUrls,
      minGasPriceMicros: (ctx) => params.get(ctx).minGasPriceMicros,
      isProtocolSigner: (ctx, address) => participants.isProtocolSigner(ctx, address),
    },
    genesisValidators: (ctx) => epochs.validators(ctx),
    upgrades: { keeper: upgrades, program },
    services: {
      ...stakingService({ validators: (ctx) => stakingValidators(ctx, participants, epochs, slashing) }),
      ...configService((ctx) => params.get(ctx).minGasPriceMicros),
    },
  };
}

function stakingValidators(
  ctx: Context,
  participants: ParticipantModule,
  epochs: EpochModule,
  slashing: SlashingModule,
): StakingValidator[] {
  const set = new Set(epochs.validators(ctx).map(({ publicKey }) => toHex(publicKey)));
  const { EXCLUDED, BANNED } = participant.ParticipantStatus;
  return participants
    .all(ctx)
    .filter(({ consensusKey }) => consensusKey.length > 0)
    .map(({ operator, consensusKey, url, collateral, status }) => ({
      operator,
      consensusKey,
      url,
      collateral,
      bonded: set.has(toHex(consensusKey)),
      jailed: status === EXCLUDED || status === BANNED || slashing.isJailed(ctx, consensusKey),
    }));
}

/**
 * Node and validator addresses sign transactions that cost nothing, so nobody would ever send them coins: they get their
 * accounts when the participant names them.
 */
function withAccounts(participants: ParticipantModule, accounts: Accounts): Module {
  const naming = (handler: MessageHandler): MessageHandler => ({
    ...handler,
    execute(ctx, message) {
      const response = handler.execute(ctx, message);
      const entry = participants.byOperator(ctx, handler.signers(message)[0]!);
      if (entry !== undefined) {
        accounts.ensure(ctx, entry.nodeAddress);
        accounts.ensure(ctx, entry.validatorAddress);
      }
      return response;
    },
  });
  const messages: Record<string, MessageHandler> = { ...participants.messages };
  for (const typeUrl of [typeUrls.registerParticipant, typeUrls.updateParticipant]) {
    messages[typeUrl] = naming(messages[typeUrl]!);
  }
  return { ...participants, messages };
}

export interface CreateAppOptions {
  /** Opened with STORES. */
  readonly store: CommitStore;
  readonly log: Logger;
  /** Refuses a store or genesis of another chain. */
  readonly chainId?: string;
  readonly checkInvariants?: boolean;
  readonly snapshots?: SnapshotService;
  readonly composition?: Composition;
  readonly mempool?: MempoolShares;
}

export const VERSION = "0.1.0";

export function createKaratApp(options: CreateAppOptions): KaratApp {
  const { composition = composeModules(), ...rest } = options;
  const { journaled } = options.store;
  if (journaled.join() !== STORES.journaled.join()) {
    throw new KaratError("wrong_stores", "open the state with STORES: the kinds of stores are part of the app hash", {
      journaled,
    });
  }
  const { services, ...parts } = composition;
  return new KaratApp({
    ...rest,
    ...parts,
    version: VERSION,
    services: (app) => ({
      ...txService({ simulate: (tx) => app.simulate(tx) }),
      ...nodeService({ chainId: () => app.chainId, version: VERSION }),
      ...services,
    }),
  });
}
