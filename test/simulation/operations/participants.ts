/** Operators that come, change, and go. Many of their messages come at the wrong time: that is refused. */
import { participant, typeUrls } from "@karat/proto";
import { signerOf } from "../../../chain/src/app/testing/index.ts";
import { infos } from "../../../chain/src/modules/slashing/keys.ts";
import { KARAT, type Operator, type Plan, type World } from "../world.ts";
import { transfer } from "./money.ts";

const { ParticipantStatus } = participant;
const WANTED = 9;

const message = (world: World, { operator }: Operator, typeUrl: string, value: object): Plan => ({
  signer: world.know(operator),
  messages: [{ typeUrl, value: { operator: operator.address, ...value } }],
});

/** A newcomer gets coins first; who has some registers, for the first time or again. */
export function register(world: World): Plan | undefined {
  const { random } = world;
  const active = world.participants().filter(({ status }) => status === ParticipantStatus.ACTIVE).length;
  const outside = world.operators.filter(({ operator }) => world.participant(operator.address) === undefined);
  if (active >= WANTED && !random.percent(20)) return undefined;
  if (outside.length === 0 || (active < WANTED && random.percent(30))) {
    return transfer(world.rich, world.newOperator().operator, 1_000n * KARAT);
  }
  const entry = random.percent(10) ? random.pick(world.operators) : random.pick(outside);
  const registration = world.registration(entry);
  if (!random.percent(20)) return message(world, entry, typeUrls.registerParticipant, registration);
  const taken = random.pick(world.operators);
  const [offer] = registration.offers;
  const flawed = random.pick<() => object>([
    () => ({ ...registration, nodeKey: world.registration(taken).nodeKey }),
    () => ({ ...registration, validatorAddress: taken.validator.address }),
    () => ({ ...registration, consensusKey: taken.consensusKey }),
    () => ({ ...registration, consensusProof: taken.consensusProof }),
    () => ({ ...registration, collateral: 1n }),
    () => ({ ...registration, collateral: 5_000n * KARAT }),
    () => ({ ...registration, url: "ftp://x" }),
    () => ({ ...registration, offers: [{ ...offer!, model: "gamma" }] }),
    () => ({ ...registration, offers: [offer!, offer!] }),
    () => ({ ...registration, nodeKey: random.bytes(33) }),
  ])();
  return message(world, entry, typeUrls.registerParticipant, flawed);
}

/** Prices, address, or a new node key, which counts at once. */
export function update(world: World): Plan {
  const { random } = world;
  const entry = random.pick(world.operators);
  const fresh = world.know(signerOf(`node${entry.index}/${world.nonce()}`));
  return message(world, entry, typeUrls.updateParticipant, {
    nodeKey: random.percent(30) ? fresh.publicKey : new Uint8Array(),
    validatorAddress: random.percent(5) ? random.pick(world.operators).validator.address : "",
    url: random.percent(50) ? `https://moved${entry.index}.example` : "",
    offers: random.percent(60) ? world.offers() : [],
  });
}

export function addCollateral(world: World): Plan {
  const amount = BigInt(world.random.between(1, 50)) * KARAT;
  return message(world, world.random.pick(world.operators), typeUrls.addCollateral, { amount });
}

export function leave(world: World): Plan {
  return message(world, world.random.pick(world.operators), typeUrls.leave, {});
}

export function withdrawCollateral(world: World): Plan {
  const { random, height } = world;
  const due = world.participants().filter(({ unlockHeight }) => unlockHeight > 0n && unlockHeight <= height);
  const entry =
    due.length > 0 && random.percent(80) ? world.operatorOf(random.pick(due).operator) : random.pick(world.operators);
  return message(world, entry, typeUrls.withdrawCollateral, {});
}

/** By any of the three addresses, of an epoch that may be open, settled, claimed or forgotten. */
export function claim(world: World): Plan {
  const { random, height } = world;
  const entry = random.pick(world.operators);
  const now = height / 8n;
  const back = BigInt(random.int(5));
  const role = random.int(3);
  const signer = role === 0 ? entry.operator : role === 1 ? entry.validator : world.nodeOf(entry.operator.address);
  const value = { sender: signer.address, epoch: now > back ? now - back : 0n };
  return { signer, messages: [{ typeUrl: typeUrls.claimRewards, value }], free: role !== 0 };
}

/** Mostly those who are jailed; most of them too early, some for good. */
export function unjail(world: World): Plan {
  const jailed = Array.from(infos.entries(world.ctx.store("slashing")), ([, info]) => info).filter(
    (info) => info.jailed,
  );
  const { random } = world;
  const entry =
    jailed.length > 0 && random.percent(90)
      ? world.operatorOf(random.pick(jailed).operator)
      : random.pick(world.operators);
  return message(world, entry, typeUrls.unjail, {});
}
