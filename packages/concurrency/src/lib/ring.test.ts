import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { cancelSweep } from "./cancel-sweep.ts";
import { ringLayout } from "./ring-memory.ts";
import { mpmcRing } from "./ring-mpmc.ts";
import type { Ring } from "./ring-record.ts";
import { spscRing } from "./ring-spsc.ts";

const text = (value: string) => new TextEncoder().encode(value);
const read = (record: Uint8Array | undefined) => (record === undefined ? undefined : new TextDecoder().decode(record));

const kinds: Record<string, () => Ring> = {
  spscRing: () => spscRing({ bytes: 64 }),
  mpmcRing: () => mpmcRing({ slots: 4, slotBytes: 16 }),
};

for (const [name, make] of Object.entries(kinds)) {
  test(`${name}: records come out whole and in order, empty ones too`, () => {
    const ring = make();
    for (const word of ["first", "", "third"]) expect(ring.tryPush(text(word))).toBe(true);
    expect([read(ring.tryPop()), read(ring.tryPop()), read(ring.tryPop()), ring.tryPop()]).toEqual([
      "first",
      "",
      "third",
      undefined,
    ]);
    expect(ring.isEmpty).toBe(true);
  });

  test(`${name}: a full ring refuses, and takes again when there is room`, () => {
    const ring = make();
    let count = 0;
    while (ring.tryPush(text("12345678"))) count++;
    expect(count).toBeGreaterThan(2);
    expect(ring.tryPush(text("12345678"))).toBe(false);
    ring.tryPop();
    expect(ring.tryPush(text("12345678"))).toBe(true);
  });

  test(`${name}: a record is a copy, both ways`, () => {
    const ring = make();
    const record = text("abc");
    ring.tryPush(record);
    record.fill(0);
    const popped = ring.tryPop() as Uint8Array;
    expect(read(popped)).toBe("abc");
    ring.tryPush(text("xyz"));
    expect(read(popped)).toBe("abc");
  });

  test(`${name}: pop() waits for a record, push() for room`, async () => {
    const ring = make();
    const popping = ring.pop();
    await ring.push(text("late"));
    expect(read(await popping)).toBe("late");
    while (ring.tryPush(text("12345678")));
    const pushing = ring.push(text("more"));
    ring.tryPop();
    await pushing;
  });

  test(`${name}: an aborted wait ends at once and takes nothing`, async () => {
    const ring = make();
    const caller = new AbortController();
    const popping = ring.pop({ signal: caller.signal });
    caller.abort("left");
    await expect(popping).rejects.toBe("left");
    await ring.push(text("kept"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(read(ring.tryPop())).toBe("kept");
    await expect(ring.pop({ signal: caller.signal })).rejects.toBe("left");
  });

  test(`${name}: the blocking calls give up when the time is over`, () => {
    const ring = make();
    expect(ring.popBlocking({ timeout: 1 })).toBeUndefined();
    expect(ring.pushBlocking(text("now"), { timeout: 0 })).toBe(true);
    expect(read(ring.popBlocking())).toBe("now");
    while (ring.tryPush(text("12345678")));
    expect(ring.pushBlocking(text("12345678"), { timeout: 1 })).toBe(false);
  });

  test(`${name}: misuse is answered with what was expected`, async () => {
    const ring = make();
    expect(() => ring.tryPush(new Uint8Array(ring.maxRecord + 1))).toThrow(RangeError);
    // @ts-expect-error: not bytes
    expect(() => ring.tryPush("text")).toThrow(/must be a Uint8Array, got "text"/);
    expect(() => ring.popBlocking({ timeout: -1 })).toThrow(RangeError);
    await expect(ring.push(new Uint8Array(1_000))).rejects.toThrow(RangeError);
  });

  test(`${name}: cancelled at any microtask, a record is taken or still there`, async () => {
    await cancelSweep(
      async (context) => {
        const ring = make();
        const popping = ring.pop({ signal: context }).then(read, () => undefined);
        void Promise.resolve().then(() => ring.tryPush(text("one")));
        const popped = await popping;
        await new Promise((resolve) => setImmediate(resolve));
        expect([popped, read(ring.tryPop())].filter((one) => one !== undefined)).toEqual(["one"]);
      },
      { steps: 12 },
    );
  });

  test(`${name}: any sequence of pushes and pops is that of an array, also where positions wrap`, () => {
    const action = fc.oneof(fc.uint8Array({ maxLength: 16 }), fc.constant("pop"));
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 100 }),
        fc.constantFrom(0, 2 ** 31 - 8, 2 ** 32 - 8),
        (actions, start) => {
          const ring = name === "spscRing" ? spscAt(start) : mpmcAt(start);
          const model: Uint8Array[] = [];
          for (const action of actions) {
            if (typeof action === "string") expect(ring.tryPop()).toEqual(model.shift());
            else if (ring.tryPush(action)) model.push(action);
            else expect(model.length).toBeGreaterThan(2);
            expect(ring.isEmpty).toBe(model.length === 0);
          }
        },
      ),
      { numRuns: propertyRuns(300) },
    );
  });
}

/** A ring that has been in use for so long that its positions are at `start`. */
function spscAt(start: number): Ring {
  const { buffer } = spscRing({ bytes: 64 });
  const words = new Int32Array(buffer);
  words[ringLayout.head] = words[ringLayout.tail] = start | 0;
  return spscRing(buffer);
}

function mpmcAt(start: number): Ring {
  const share = mpmcRing({ slots: 4, slotBytes: 16 }).share();
  const words = new Int32Array(share.buffer);
  words[ringLayout.head] = words[ringLayout.tail] = start | 0;
  for (let slot = 0; slot < 4; slot++) words[ringLayout.data + slot * 6] = ((start >>> 2) % 2 ** 21) << 11;
  return mpmcRing(share);
}

test("spscRing: sizes are checked, and rounded up to a power of two", () => {
  expect(spscRing({ bytes: 100 }).maxRecord).toBe(124);
  expect(() => spscRing({ bytes: 4 })).toThrow(/bytes must be an integer of at least 8, got 4/);
  expect(() => spscRing({ bytes: 2 ** 31 })).toThrow(/at most 2\^30/);
  expect(() => spscRing(new SharedArrayBuffer(4_096))).toThrow(/not that of such a ring/);
  // @ts-expect-error: no options
  expect(() => spscRing(5)).toThrow(TypeError);
});

test("mpmcRing: sizes and places are checked", () => {
  expect(() => mpmcRing({ slots: 0, slotBytes: 8 })).toThrow(/slots must be an integer of at least 1, got 0/);
  expect(() => mpmcRing({ slots: 2 ** 21, slotBytes: 8 })).toThrow(/at most 2\^20/);
  expect(() => mpmcRing({ slots: 2 ** 20, slotBytes: 4_096 })).toThrow(/less than 2\^31 bytes/);
  expect(() => mpmcRing({ buffer: spscRing({ bytes: 4_096 }).buffer, seat: 1 })).toThrow(/not that of such a ring/);
  const ring = mpmcRing({ slots: 2, slotBytes: 8 });
  const shares = Array.from({ length: 254 }, () => ring.share());
  expect(() => ring.share()).toThrow(/all of its 255 places are taken/);
  ring.recover(shares[100] as (typeof shares)[number]);
  expect(ring.share().seat).toBe(shares[100]?.seat);
  expect(() => ring.recover({ ...(shares[0] as (typeof shares)[number]), seat: 1 })).toThrow(
    /this thread still has it/,
  );
});

test("mpmcRing: recover() hands over what a dead thread had begun to take, and skips what it had begun to put in", () => {
  const ring = mpmcRing({ slots: 4, slotBytes: 8 });
  const dead = ring.share();
  const words = new Int32Array(dead.buffer);
  const stateOf = (slot: number) => ringLayout.data + slot * 4;
  ring.tryPush(text("taken"));
  ring.tryPush(text("next"));
  words[stateOf(0)] = (dead.seat << 3) | 3; // reading
  words[ringLayout.head] = 1;
  words[stateOf(2)] = (dead.seat << 3) | 1; // writing
  words[ringLayout.tail] = 3;
  ring.tryPush(text("last"));
  expect(read(ring.tryPop())).toBe("next");
  expect(ring.tryPop()).toBeUndefined(); // behind the slot of the dead thread
  expect(ring.recover(dead).map(read)).toEqual(["taken"]);
  expect(read(ring.tryPop())).toBe("last");
  for (let lap = 0; lap < 5; lap++) {
    for (const word of ["a", "b", "c", "d"]) expect(ring.tryPush(text(word))).toBe(true);
    for (const word of ["a", "b", "c", "d"]) expect(read(ring.tryPop())).toBe(word);
  }
});
