import type { LookupFunction } from "node:net";
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { type LookupFault, lookupFaults } from "./chaos-lookup.ts";

const lookup: LookupFunction = (_, { all }, callback) =>
  callback(null, all ? [{ address: "::1", family: 6 }] : "::1", 6);

function ask(dns: { readonly lookup: LookupFunction }, host: string, all = false): Promise<unknown> {
  return new Promise((resolve) => dns.lookup(host, { all }, (error, address) => resolve(error?.code ?? address)));
}

test("names are found as before, unless a fault is for them", async () => {
  const clock = new TestClock();
  const dns = lookupFaults([{ kind: "fail", host: /\.db$/ }], { lookup, clock });
  expect([await ask(dns, "web"), await ask(dns, "web", true)]).toEqual(["::1", [{ address: "::1", family: 6 }]]);
  const failed = ask(dns, "one.db");
  await clock.advance(0);
  expect(await failed).toBe("ENOTFOUND");
  dns.set([{ kind: "fail", code: "EAI_AGAIN", times: 1 }]);
  const once = ask(dns, "a", true);
  await clock.advance(0);
  expect([await once, await ask(dns, "a")]).toEqual(["EAI_AGAIN", "::1"]);
  dns.clear();
  expect(await ask(dns, "one.db")).toBe("::1");
});

test("names are found late", async () => {
  const clock = new TestClock();
  const dns = lookupFaults([], { lookup, clock });
  using _slow = dns.add({ kind: "latency", ms: 100 });
  let found: unknown;
  void ask(dns, "a").then((address) => {
    found = address;
  });
  await clock.advance(99);
  expect(found).toBeUndefined();
  await clock.advance(1);
  expect([found, dns.stats()]).toEqual(["::1", { rules: 1, hits: { latency: 1 } }]);
});

test("a fault that makes no sense is refused", () => {
  expect(() => lookupFaults([{ kind: "fail", code: "EWHAT" } as unknown as LookupFault])).toThrow(
    /code must be one of/,
  );
  expect(() => lookupFaults([{ kind: "latency" } as unknown as LookupFault])).toThrow(/ms must be a number/);
});
