import { DENOM } from "@karat/common";
import { typeUrls } from "@karat/proto";
import type { Message, Signer } from "../../../chain/src/app/testing/index.ts";
import type { Plan, World } from "../world.ts";

const coins = (amount: bigint) => [{ denom: DENOM, amount: amount.toString() }];

const sendMessage = (from: Signer, to: Signer, amount: bigint): Message => ({
  typeUrl: "/cosmos.bank.v1beta1.MsgSend",
  value: { fromAddress: from.address, toAddress: to.address, amount: coins(amount) },
});

export const transfer = (from: Signer, to: Signer, amount: bigint): Plan => ({
  signer: from,
  messages: [sendMessage(from, to, amount)],
});

/** Mostly what the sender has, sometimes far more. */
export function send(world: World): Plan {
  const { random } = world;
  const amount = random.percent(85) ? BigInt(random.between(1, 10_000)) : 10n ** 18n;
  return transfer(random.pick(world.clients), random.pick([world.rich, ...world.clients]), amount);
}

export function multiSend(world: World): Plan {
  const { random } = world;
  const from = random.pick(world.clients);
  const amounts = Array.from({ length: random.between(1, 4) }, () => BigInt(random.between(1, 1_000)));
  const total = amounts.reduce((sum, amount) => sum + amount, random.percent(15) ? 1n : 0n);
  const value = {
    inputs: [{ address: from.address, coins: coins(total) }],
    outputs: amounts.map((amount) => ({ address: random.pick(world.clients).address, coins: coins(amount) })),
  };
  return { signer: from, messages: [{ typeUrl: "/cosmos.bank.v1beta1.MsgMultiSend", value }] };
}

export function deposit(world: World): Plan {
  const { random } = world;
  const sender = random.pick(world.clients);
  const client = random.percent(30) ? random.pick(world.clients).address : "";
  const amount = random.percent(95) ? BigInt(random.between(1, 60_000)) : 10n ** 17n;
  return {
    signer: sender,
    messages: [{ typeUrl: typeUrls.deposit, value: { sender: sender.address, client, amount } }],
  };
}

export function requestRefund(world: World): Plan {
  const { random } = world;
  const client = random.pick(world.clients);
  const amount = BigInt(random.between(1, random.percent(80) ? 5_000 : 1_000_000_000));
  return { signer: client, messages: [{ typeUrl: typeUrls.requestRefund, value: { client: client.address, amount } }] };
}

export function withdraw(world: World): Plan {
  const client = world.random.pick(world.clients);
  return { signer: client, messages: [{ typeUrl: typeUrls.withdraw, value: { client: client.address } }] };
}

/** Several messages of which the last fails: nothing of the others may remain. */
export function failLate(world: World): Plan {
  const client = world.random.pick(world.clients);
  const { messages } = deposit(world);
  const own = { typeUrl: typeUrls.deposit, value: { ...(messages[0]!.value as object), sender: client.address } };
  return {
    signer: client,
    messages: [sendMessage(client, world.rich, 1n), own, sendMessage(client, world.rich, 10n ** 18n)],
  };
}
