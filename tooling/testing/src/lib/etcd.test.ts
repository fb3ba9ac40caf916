import { expect, vi } from "vitest";
import { startEtcd } from "./etcd.ts";
import { testWithTools } from "./test-with-tools.ts";

vi.setConfig({ testTimeout: 60_000 }); // processes start slowly on a busy machine

const test = testWithTools("etcd");

test("a key that etcd acknowledged is there after SIGKILL and a restart on the same port", async () => {
  await using etcd = await startEtcd();
  await etcd.ask("/v3/kv/put", { key: btoa("city"), value: btoa("Delft") });

  await etcd.kill();
  await expect(etcd.ask("/v3/kv/range", { key: btoa("city") })).rejects.toThrow("fetch failed");

  await etcd.restart();
  const answer = await etcd.ask("/v3/kv/range", { key: btoa("city") });
  expect(answer).toMatchObject({ kvs: [{ key: btoa("city"), value: btoa("Delft") }] });
});

test("a call that etcd refuses rejects with what it says", async () => {
  await using etcd = await startEtcd();
  await expect(etcd.ask("/v3/kv/range", {})).rejects.toThrow("key is not provided");
});
