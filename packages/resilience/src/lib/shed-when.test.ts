// A process that has too much to do.
import { TestClock } from "@proj/concurrency/testing";
import { expect, test } from "vitest";
import { randomFrom } from "../../simulations/support/random.ts";
import { enter } from "../../test/support/through.ts";
import { type LoadReading, shedWhen, systemLoadMeter } from "../index.ts";

function make(options: Parameters<typeof shedWhen>[0]) {
  const clock = new TestClock();
  const reading = { eventLoopDelay: 0, eventLoopUtilization: 0, cpu: 0 } satisfies LoadReading;
  let reads = 0;
  const meter = {
    read() {
      reads++;
      return { ...reading };
    },
  };
  const random = randomFrom(1);
  const shed = shedWhen({ meter, random, ...options });
  /** The share of so many calls that is turned away. */
  const offer = (calls: number, priority = 0) => {
    let rejected = 0;
    for (let call = 0; call < calls; call++) {
      try {
        enter(shed, { clock, priority })();
      } catch (error) {
        expect(error).toMatchObject({ code: "ERR_OVERLOADED", reason: "load" });
        rejected++;
      }
    }
    return rejected / calls;
  };
  return { shed, clock, reading, offer, reads: () => reads };
}

test("shedWhen() lets all pass while nothing is above what is allowed", async () => {
  const { shed, clock, reading, offer, reads } = make({ eventLoopDelay: 100, cpu: 0.9 });
  reading.eventLoopDelay = 50;
  reading.eventLoopUtilization = 1; // nobody asked
  for (let round = 0; round < 10; round++) {
    expect(offer(10)).toBe(0);
    await clock.advance(250);
  }

  expect(reads()).toBe(10);
  expect([shed.pressure, shed.stats()]).toEqual([0.5, { shedding: 0, load: 0.5, rejected: 0 }]);
});

test("shedWhen() turns away more and more while there is too much to do, never all, and fewer afterwards", async () => {
  const { shed, clock, reading, offer } = make({ eventLoopDelay: 100 });
  offer(10);
  reading.eventLoopDelay = 150;
  const shares: number[] = [];
  for (let round = 0; round < 30; round++) {
    await clock.advance(250);
    shares.push(offer(1_000));
  }
  expect(shares[0]).toBeCloseTo(0.25, 1);
  expect(shares.slice(0, 5)).toEqual(shares.slice(0, 5).toSorted((a, b) => a - b));
  expect(shares.at(-1)).toBeCloseTo(0.95, 1);
  expect(shed.pressure).toBe(1);

  reading.eventLoopDelay = 20;
  for (let round = 0; round < 20; round++) {
    await clock.advance(250);
    offer(1_000);
  }
  expect(offer(1_000)).toBe(0);
});

test("shedWhen() turns away what is least important first", async () => {
  const { clock, reading, offer } = make({ cpu: 0.5 });
  reading.cpu = 0.6;
  const [low, high] = [[] as number[], [] as number[]];
  for (let round = 0; round < 4; round++) {
    low.push(offer(100, -1));
    high.push(offer(100, 1));
    await clock.advance(250);
  }

  expect(low.at(-1)).toBeGreaterThan(0.4);
  expect(high).toEqual([0, 0, 0, 0]);
});

test("shedWhen() names the option that is none", () => {
  expect(() => shedWhen({})).toThrow(
    "Cannot make a load shedder: options must have one of eventLoopDelay, eventLoopUtilization, cpu, got an object",
  );
  expect(() => shedWhen({ cpu: 90 })).toThrow(RangeError);
  expect(() => shedWhen({ cpu: 0.9, meter: {} as never })).toThrow("meter.read must be a function, got undefined");
});

test("systemLoadMeter() sees an event loop that was blocked, and a process that works", async () => {
  const meter = systemLoadMeter();
  meter.read();
  await new Promise((resolve) => setTimeout(resolve, 30));
  const start = performance.now();
  while (performance.now() - start < 150); // works hard, and lets nobody else
  await new Promise((resolve) => setTimeout(resolve, 30));
  const { eventLoopDelay, eventLoopUtilization, cpu } = meter.read();

  expect(eventLoopDelay).toBeGreaterThan(5);
  expect(eventLoopUtilization).toBeGreaterThan(0.3);
  expect(cpu).toBeGreaterThan(0);
  expect(cpu).toBeLessThanOrEqual(1);
});
