import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteBudget } from "./h3-budget.ts";
import { ReceiveBuffer } from "./h3-receive.ts";

function make(memoryLimit: number, diskLimit = 1024 * 1024) {
  const memory = new ByteBudget(memoryLimit);
  const disk = new ByteBudget(diskLimit);
  return { memory, disk, buffer: new ReceiveBuffer(memory, disk) };
}

async function textOf(buffer: ReceiveBuffer): Promise<string> {
  let text = "";
  for await (const chunk of buffer.read()) text += String(chunk);
  return text;
}

test("bytes that fit stay in memory", async () => {
  const { memory, disk, buffer } = make(1_000);
  buffer.push(Buffer.from("abc"));
  expect(memory.used).toBe(3 + 128);
  expect(disk.used).toBe(0);
  buffer.end();
  expect(await textOf(buffer)).toBe("abc");
  expect(memory.used).toBe(0);
});

test("bytes that do not fit go to disk, and what comes after them queues behind", async () => {
  const { memory, disk, buffer } = make(200);
  buffer.push(Buffer.from("in memory "));
  buffer.push(Buffer.alloc(100, "x"));
  buffer.push(Buffer.from(" tiny"));
  expect(memory.used).toBe(10 + 128);
  expect(disk.used).toBe(105);
  buffer.end();
  expect(await textOf(buffer)).toBe(`in memory ${"x".repeat(100)} tiny`);
  expect(memory.used + disk.used).toBe(0);
});

test("a flood of tiny chunks counts for more than its bytes", () => {
  const { memory, disk, buffer } = make(128 * 1024, 1);
  let kept = 0;
  while (buffer.push(Buffer.from("x"))) kept += 1;
  expect(kept).toBeLessThan(1_100);
  buffer.discard();
  expect(memory.used + disk.used).toBe(0);
});

test("push() says no when neither memory nor disk has room", () => {
  const { buffer } = make(0, 10);
  expect(buffer.push(Buffer.from("0123456789"))).toBe(true);
  expect(buffer.push(Buffer.from("x"))).toBe(false);
  buffer.discard();
});

test("a disk that fails is a reason to say no, and tells why", async () => {
  const { disk, buffer } = make(0);
  const before = process.env["TMPDIR"];
  process.env["TMPDIR"] = "/nowhere";
  try {
    expect(buffer.push(Buffer.from("x"))).toBe(false);
  } finally {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
  }
  expect(buffer.diskError).toMatchObject({ code: "ENOENT" });
  buffer.discard();
  expect(disk.used).toBe(0);
});

test("a failure reaches a waiting reader, and a later one", async () => {
  const { buffer } = make(1_000);
  const reader = buffer.read();
  const waiting = reader.next();
  buffer.fail(new Error("cut"));
  await expect(waiting).rejects.toThrow("cut");
  const late = make(1_000).buffer;
  late.push(Buffer.from("kept"));
  late.fail(new Error("cut"));
  await expect(late.read().next()).rejects.toThrow("cut");
});

test("return() before the first next() gives everything back", async () => {
  const { memory, buffer } = make(1_000);
  buffer.push(Buffer.from("abc"));
  await buffer.read().return?.();
  expect(memory.used).toBe(0);
  expect(buffer.push(Buffer.from("abc"))).toBe(true);
  expect(memory.used).toBe(0);
});

test("return() wakes a reader that waits", async () => {
  const reader = make(1_000).buffer.read();
  const waiting = reader.next();
  await reader.return?.();
  expect(await waiting).toEqual({ done: true, value: undefined });
});

test("a wider budget counts what the narrow ones take", () => {
  const all = new ByteBudget(10);
  const one = new ByteBudget(8, all);
  const other = new ByteBudget(8, all);
  expect([one.take(8), other.take(3), other.take(2), one.take(1)]).toEqual([true, false, true, false]);
  one.give(8);
  expect([all.used, other.take(6), all.used]).toEqual([2, true, 8]);
});

type Step = { readonly do: "push"; readonly size: number } | { readonly do: "read" | "end" | "fail" | "leave" };

test("whatever the order of arrival, reading, end and failure: no byte is lost or doubled, and no room leaks", async () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant("push" as const), size: fc.integer({ min: 0, max: 400 }) }) },
    { weight: 6, arbitrary: fc.constant({ do: "read" as const }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom({ do: "end" as const }, { do: "fail" as const }, { do: "leave" as const }),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 0, max: 1_200 }), async (steps, room) => {
      const { memory, disk, buffer } = make(room);
      const reader = buffer.read();
      const sent: Buffer[] = [];
      const got: Uint8Array[] = [];
      const reads: Promise<unknown>[] = [];
      const read = (): Promise<void> =>
        reader.next().then(
          ({ value }) => {
            if (value !== undefined) got.push(value);
          },
          () => {},
        );
      let ending: "end" | "fail" | "leave" | undefined;
      for (const action of steps) {
        if (action.do === "push") {
          const chunk = randomBytes(action.size);
          expect(buffer.push(chunk)).toBe(true);
          if (ending === undefined) sent.push(chunk);
        } else if (action.do === "read") {
          const pending = read();
          reads.push(pending);
          // A reader with something to read is served; one without must not hold up the test.
          await Promise.race([pending, Promise.resolve()]);
        } else if (ending === undefined) {
          ending = action.do;
          if (action.do === "end") buffer.end();
          else if (action.do === "fail") buffer.fail(new Error("cut"));
          else reads.push(Promise.resolve(reader.return?.()));
        }
      }
      if (ending === undefined) buffer.end();
      await Promise.all(reads);
      if (ending === undefined || ending === "end") {
        for (let before = -1; before !== got.length; await read()) before = got.length;
        expect(Buffer.concat(got).equals(Buffer.concat(sent))).toBe(true);
      } else {
        const all = Buffer.concat(sent);
        const part = Buffer.concat(got);
        expect(part.equals(all.subarray(0, part.length))).toBe(true);
      }
      buffer.discard();
      expect(memory.used).toBe(0);
      expect(disk.used).toBe(0);
    }),
    { numRuns: 300 },
  );
});
