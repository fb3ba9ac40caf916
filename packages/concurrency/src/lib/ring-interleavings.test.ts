// Walks through every interleaving of the steps of the ring protocols: the code that runs in production, over a memory
// that stops it before each access. A thread goes on by running its operation again from its start, with what it saw the
// last time, up to one access further.
import { expect, test } from "vitest";
import { type RingWords, ringLayout } from "./ring-memory.ts";
import { MpmcProtocol, type RecordSlots } from "./ring-mpmc-protocol.ts";
import { type RecordBytes, SpscProtocol } from "./ring-spsc-protocol.ts";

const { head: headIndex, tail: tailIndex } = ringLayout;

type Operation =
  | { readonly kind: "push"; readonly record: number }
  | { readonly kind: "pop" }
  | { readonly kind: "recover"; readonly seat: number };

interface ThreadState {
  /** Index of the operation it is at. */
  operation: number;
  /** What the accesses of that operation have given so far. */
  log: readonly (number | boolean)[];
  /** What it remembers of the other side's index (single producer, single consumer). */
  seen: number;
  isDead: boolean;
}

interface State {
  /** Tail, head, and the states of the slots. */
  words: readonly number[];
  /** Two halves of each record, written one after the other. */
  cells: readonly number[];
  threads: readonly ThreadState[];
  accepted: readonly number[];
  /** What each thread took out, in its order. */
  taken: readonly (readonly number[])[];
}

interface Setting {
  readonly programs: readonly (readonly Operation[])[];
  /** Leaves out the steps within a record, which only the thread that has claimed its slot touches. */
  readonly isCoarse?: boolean;
  /** The thread that may be killed at any step; the last thread then recovers its seat. */
  readonly victim?: number;
  run(operation: Operation, thread: number, access: Access, seen: number): unknown;
}

interface Access {
  readonly words: RingWords;
  cell(index: number): number;
  setCell(index: number, value: number): void;
}

const suspended = Symbol("suspended");

const firstState = 1_000;

/** Where in `State.words` a word of the ring is. */
function placeOf(index: number): number {
  return index === tailIndex ? 0 : index === headIndex ? 1 : index - firstState + 2;
}

/** Takes one step of one thread. Returns the state after it. */
function step(setting: Setting, before: State, id: number): State {
  const words = [...before.words];
  const cells = [...before.cells];
  const thread = before.threads[id] as ThreadState;
  const operation = setting.programs[id]?.[thread.operation] as Operation;
  const log = [...thread.log];
  let seen = thread.seen;
  let position = 0;
  let isDone = false;
  function once<T extends number | boolean>(perform: () => T): T {
    if (position < log.length) return log[position++] as T;
    if (isDone) throw suspended;
    isDone = true;
    const result = perform();
    log.push(result);
    position++;
    return result;
  }
  const other = operation.kind === "push" ? headIndex : tailIndex;
  const access: Access = {
    words: {
      load: (index) => {
        const value = once(() => words[placeOf(index)] as number);
        if (index === other) seen = value;
        return value;
      },
      store: (index, value) => {
        once(() => {
          words[placeOf(index)] = value;
          return true;
        });
      },
      swap: (index, expected, value) =>
        once(() => {
          if (words[placeOf(index)] !== expected) return false;
          words[placeOf(index)] = value;
          return true;
        }),
    },
    cell: (index) => (setting.isCoarse ? (cells[index] ?? 0) : once(() => cells[index] ?? 0)),
    setCell: (index, value) => {
      const set = () => {
        cells[index] = value;
        return true;
      };
      // In one go with the access before it: as in a replay nothing may be written again, only what is new counts.
      if (!setting.isCoarse) once(set);
      else if (position === log.length) set();
    },
  };
  const threads = [...before.threads];
  const taken = [...before.taken];
  let accepted = before.accepted;
  try {
    const result = setting.run(operation, id, access, thread.seen);
    threads[id] = { ...thread, operation: thread.operation + 1, log: [], seen };
    if (operation.kind === "push" && result === true) accepted = [...accepted, operation.record].sort();
    if (operation.kind === "pop" && result !== undefined) taken[id] = [...(taken[id] ?? []), result as number];
    if (operation.kind === "recover") taken[id] = result as number[];
  } catch (error) {
    if (error !== suspended) throw error;
    threads[id] = { ...thread, log };
  }
  return { words, cells, threads, accepted, taken };
}

/** Visits every state that any interleaving can reach; calls `check` for those where nobody can go on. */
function explore(setting: Setting, first: State, check: (end: State) => void): number {
  const visited = new Set<string>();
  const stack = [first];
  const last = setting.programs.length - 1;
  for (let state = stack.pop(); state !== undefined; state = stack.pop()) {
    let isEnd = true;
    const add = (next: State) => {
      isEnd = false;
      const key = keyOf(next);
      if (visited.has(key)) return;
      visited.add(key);
      stack.push(next);
    };
    const isVictimDead = setting.victim !== undefined && state.threads[setting.victim]?.isDead === true;
    for (const [id, thread] of state.threads.entries()) {
      if (thread.isDead || thread.operation >= (setting.programs[id]?.length ?? 0)) continue;
      if (setting.victim !== undefined && id === last && !isVictimDead) continue; // nothing to recover from yet
      add(step(setting, state, id));
      if (id === setting.victim) {
        add({ ...state, threads: state.threads.with(id, { ...thread, isDead: true }) });
      }
    }
    if (isEnd) check(state);
  }
  return visited.size;
}

function keyOf({ words, cells, threads, accepted, taken }: State): string {
  let key = `${words.join()}|${cells.join()}|${accepted.join()}|${taken.join(";")}`;
  for (const { operation, log, isDead, seen } of threads) key += `|${operation},${seen},${isDead ? "x" : log.join()}`;
  return key;
}

/** What every end must satisfy: whatever was accepted is out or still inside, whole, once, in its producer's order. */
function checkEnd(setting: Setting, end: State): void {
  const inside: number[] = [];
  const drain: Setting = { ...setting, programs: [[{ kind: "pop" }]] };
  for (;;) {
    let state: State = {
      ...end,
      threads: [{ operation: 0, log: [], seen: end.words[1] as number, isDead: false }],
      taken: [[]],
    };
    while (state.threads[0]?.operation === 0) state = step(drain, state, 0);
    const record = state.taken[0]?.[0];
    if (record === undefined) break;
    inside.push(record);
    end = { ...end, words: state.words, cells: state.cells };
  }
  const out = end.taken.flat();
  const dead = setting.victim === undefined ? undefined : end.threads[setting.victim];
  // What a killed producer was pushing may be there or not.
  const cut = dead?.isDead ? setting.programs[setting.victim as number]?.[dead.operation] : undefined;
  const all = [...out, ...inside].filter((record) => cut?.kind !== "push" || record !== cut.record).sort();
  expect(all).toEqual(end.accepted);
  expect(new Set([...out, ...inside]).size).toBe(out.length + inside.length);
  for (const [id, records] of end.taken.entries()) {
    if (setting.programs[id]?.[0]?.kind === "pop") expectInOrder(records);
  }
  if (setting.victim === undefined) expectInOrder(inside);
}

/** Records are numbered ten times the producer, plus one for each. */
function expectInOrder(records: readonly number[]): void {
  for (const producer of new Set(records.map((record) => Math.floor(record / 10)))) {
    const own = records.filter((record) => Math.floor(record / 10) === producer);
    expect(own).toEqual([...own].sort((a, b) => a - b));
  }
}

function whole(first: number, second: number): number {
  if (first !== second) throw new Error(`A torn record: ${first} and ${second}`);
  return first;
}

function mpmc(
  programs: readonly (readonly Operation[])[],
  { slots = 2, start = 0, ...rest }: { slots?: number; start?: number; victim?: number; isCoarse?: boolean } = {},
): [Setting, State] {
  const stateOf = (slot: number) => firstState + slot;
  const setting: Setting = {
    programs,
    ...rest,
    run(operation, thread, access) {
      const cells: RecordSlots<number> = {
        stateOf,
        write(slot, record) {
          access.setCell(slot * 2, record);
          access.setCell(slot * 2 + 1, record);
        },
        read: (slot) => whole(access.cell(slot * 2), access.cell(slot * 2 + 1)),
      };
      const protocol = new MpmcProtocol(access.words, cells, slots, thread + 1);
      if (operation.kind === "push") return protocol.push(operation.record);
      return operation.kind === "pop" ? protocol.pop() : protocol.recover(operation.seat);
    },
  };
  const words = [start | 0, start | 0];
  const shift = Math.log2(slots);
  const laps = 2 ** Math.min(21, 32 - shift);
  for (let i = 0; i < slots; i++) {
    const position = (start + i) >>> 0;
    words[placeOf(stateOf(position & (slots - 1)))] = ((position >>> shift) % laps) << 11;
  }
  return [setting, initial(programs, words)];
}

function spsc(
  programs: readonly [readonly Operation[], readonly Operation[]],
  room: number,
  start = 0,
): [Setting, State] {
  const setting: Setting = {
    programs,
    run(operation, _, access, seen) {
      const cells: RecordBytes<number> = {
        room: () => 1,
        write(position, record) {
          access.setCell((position & (room - 1)) * 2, record);
          access.setCell((position & (room - 1)) * 2 + 1, record);
        },
        read(position) {
          const at = (position & (room - 1)) * 2;
          return { record: whole(access.cell(at), access.cell(at + 1)), room: 1 };
        },
      };
      let isMade = false;
      const words = { ...access.words, load: (index: number) => (isMade ? access.words.load(index) : seen) };
      const protocol = new SpscProtocol(words, cells, room);
      isMade = true;
      return operation.kind === "push" ? protocol.push(operation.record) : protocol.pop();
    },
  };
  return [setting, initial(programs, [start | 0, start | 0], start | 0)];
}

function initial(programs: Setting["programs"], words: readonly number[], seen = 0): State {
  return {
    words,
    cells: [],
    threads: programs.map(() => ({ operation: 0, log: [], seen, isDead: false })),
    accepted: [],
    taken: programs.map(() => []),
  };
}

const pushes = (producer: number, count: number): Operation[] =>
  Array.from({ length: count }, (_, i) => ({ kind: "push", record: producer * 10 + i }));
const pops = (count: number): Operation[] => Array.from({ length: count }, () => ({ kind: "pop" }));

test("spscRing: every interleaving of 3 pushes and 3 pops is right, also where positions wrap", () => {
  for (const start of [0, 2 ** 31 - 2, 2 ** 32 - 2]) {
    for (const room of [1, 2]) {
      const [setting, first] = spsc([pushes(1, 3), pops(3)], room, start);
      expect(explore(setting, first, (end) => checkEnd(setting, end))).toBeGreaterThan(100);
    }
  }
});

/** The longest walks visit millions of states: for a nightly run. */
const { INTERLEAVINGS = "short" } = process.env;
const isLong = INTERLEAVINGS === "long";
const timeout = isLong ? 1_800_000 : 60_000;

test("mpmcRing: every interleaving of 2 producers and 2 consumers is right, to the halves of a record", {
  timeout,
}, () => {
  for (const slots of isLong ? [1, 2] : [1]) {
    const [setting, first] = mpmc([pushes(1, 1), pushes(2, 1), pops(1), pops(1)], { slots });
    expect(explore(setting, first, (end) => checkEnd(setting, end))).toBeGreaterThan(1_000);
  }
});

test("mpmcRing: every interleaving of 2 producers and 2 consumers is right where positions wrap", { timeout }, () => {
  for (const start of [2 ** 31 - 1, 2 ** 32 - 1]) {
    // Three operations a side are 3,112,820 states.
    const programs = isLong
      ? [pushes(1, 2), pushes(2, 1), pops(2), pops(1)]
      : [pushes(1, 1), pushes(2, 1), pops(1), pops(1)];
    const [setting, first] = mpmc(programs, { start, isCoarse: true });
    expect(explore(setting, first, (end) => checkEnd(setting, end))).toBeGreaterThan(1_000);
  }
});

test("mpmcRing: whatever step a producer is killed at, once recovered nothing is lost, doubled or stuck", {
  timeout: 600_000,
}, () => {
  const programs: Operation[][] = [pushes(1, 2), pushes(2, 1), pops(isLong ? 3 : 1), [{ kind: "recover", seat: 1 }]];
  const [setting, first] = mpmc(programs, { victim: 0, isCoarse: !isLong });
  expect(explore(setting, first, (end) => checkEnd(setting, end))).toBeGreaterThan(1_000);
});

test("mpmcRing: whatever step a consumer is killed at, once recovered nothing is lost, doubled or stuck", {
  timeout: 600_000,
}, () => {
  const programs: Operation[][] = [pops(2), pops(1), pushes(3, 2), [{ kind: "recover", seat: 1 }]];
  const [setting, first] = mpmc(programs, { victim: 0, isCoarse: !isLong });
  expect(explore(setting, first, (end) => checkEnd(setting, end))).toBeGreaterThan(1_000);
});

test("the walk finds the fault of a queue that shows a record before it has written it", () => {
  const [setting, first] = mpmc([pushes(1, 1), pops(1)]);
  const broken: Setting = {
    ...setting,
    run(operation, thread, access, seen) {
      if (operation.kind !== "push") return setting.run(operation, thread, access, seen);
      access.words.swap(firstState, 0, 2); // full
      access.words.swap(tailIndex, 0, 1);
      access.setCell(0, operation.record);
      access.setCell(1, operation.record);
      return true;
    },
  };
  expect(() => explore(broken, first, (end) => checkEnd(broken, end))).toThrow();
});
