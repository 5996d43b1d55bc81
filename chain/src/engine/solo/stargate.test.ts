import { join } from "node:path";
import { DirectSecp256k1HdWallet } from "@cosmjs/proto-signing";
import { GasPrice, SigningStargateClient } from "@cosmjs/stargate";
import { expect, test } from "vitest";
import { CosmosApp } from "../testing/cosmos-app.ts";
import { crashOptions } from "../testing/crash.ts";
import { temporaryFolder } from "../testing/temporary.ts";
import { SoloEngine } from "./engine.ts";

test("an unmodified SigningStargateClient connects, simulates, broadcasts and finds its transaction", async () => {
  const folder = temporaryFolder();
  const application = new CosmosApp(join(folder.path, "app"));
  const engine = await SoloEngine.open({ ...crashOptions(folder.path), application, blockTimeMs: 20 });
  try {
    const wallet = await DirectSecp256k1HdWallet.generate(12, { prefix: "karat" });
    const [account] = await wallet.getAccounts();
    for (const endpoint of [engine.rpcUrl, engine.rpcUrl.replace("http", "ws")]) {
      const client = await SigningStargateClient.connectWithSigner(endpoint, wallet, {
        gasPrice: GasPrice.fromString("0.025ukarat"),
        broadcastPollIntervalMs: 20,
      });
      expect(await client.getChainId()).toBe("crash-1");
      const height = await client.getHeight();
      expect(height).toBeGreaterThan(0);
      const memo = `from ${endpoint.slice(0, 2)}`;
      const coins = [{ denom: "ukarat", amount: "1" }];
      const sent = await client.sendTokens(account!.address, account!.address, coins, "auto", memo);
      expect(sent.code).toBe(0);
      expect(sent.gasUsed).toBe(1n);
      expect((await client.getTx(sent.transactionHash))?.height).toBe(sent.height);
      expect((await client.getBlock(sent.height)).txs).toHaveLength(1);
      const found = await client.searchTx([{ key: "set.value", value: memo }]);
      expect(found.map(({ hash }) => hash)).toEqual([sent.transactionHash]);
      client.disconnect();
    }
  } finally {
    await engine.stop();
    folder.remove();
  }
});
