// Does the work of a key once: whoever comes with the same key gets the first outcome.
import { abortable, Context, Keyed, sleep } from "@proj/concurrency";
import { type ComponentStats, register } from "@proj/concurrency/inspect";
import { listening, tell } from "./events.ts";
import type { IdempotentOutcome } from "./idempotency-codec.ts";
import {
  IdempotencyConflictError,
  IdempotencyCrashedError,
  IdempotencyLostError,
  IdempotencyMismatchError,
} from "./idempotency-errors.ts";
import type { IdempotencyEvent } from "./idempotency-events.ts";
import { ownContext, RunLease } from "./idempotency-lease.ts";
import { type IdempotentRequest, Line } from "./idempotency-line.ts";
import {
  checkCall,
  type GuardSettings,
  guardSettings,
  type IdempotencyGuardOptions,
  type IdempotentCallOptions,
  type IdempotentRun,
  type IdempotentTask,
} from "./idempotency-options.ts";
import { attemptsToNote, leave, outcomeOf, type Step } from "./idempotency-step.ts";
import type { IdempotencyState } from "./idempotency-store.ts";
import { rejection } from "./stackless.ts";

/** Runs tasks under keys. */
export interface IdempotencyGuard {
  /** As in the options. */
  readonly name: string;
  /**
   * Runs the task unless there is an outcome of this key, which is replayed instead: the same value, or the same error
   * if `keepFailure` took it for an outcome.
   *
   * **Duplicates** of a run that goes on wait in line, or are rejected, as the options say. When a run fails and its
   * error is not kept, the next in line runs its own task. **Abort** of a caller ends its own wait, in the same turn and
   * with its reason untouched; a task that was started goes on, for others may wait for it and the caller may come
   * again. **Context** of the task: the values of the caller, without its cancellation and deadline; it ends with the
   * guard's `timeout`, or when the lease is lost. **Store**: when the outcome cannot be kept at once, the caller gets it
   * nonetheless, and it is tried again for as long as a lease; should that fail too, the key is left as after a crash.
   *
   * @throws IdempotencyConflictError · IdempotencyMismatchError · IdempotencyCrashedError · IdempotencyLostError · the
   * reason of the signal or context · whatever the task or the store throws
   */
  run<T>(key: string, task: IdempotentTask<T>, options?: IdempotentCallOptions): Promise<T>;
  /** How many keys are in use here, and counts since it was made. */
  stats(): ComponentStats;
}

/**
 * Makes work that must not be done twice safe to ask for twice: the first outcome of a key is kept and replayed, a crash
 * in the middle is not forgotten, and a run that was presumed dead cannot overwrite its successor.
 *
 * Exactly once is not on offer anywhere: when a process dies between an effect and the note that it took place, only
 * whoever keeps the effect can tell. So the default after a crash is to say so; `onCrash` can ask or run again.
 *
 * The rules for requests, keys, fingerprints and status codes follow the IETF draft "The Idempotency-Key HTTP Header
 * Field".
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { idempotencyGuard } from "@proj/resilience";
 *
 * const payments = idempotencyGuard({ ttl: 86_400_000, keepFailure: (error) => error instanceof RangeError });
 * let charges = 0;
 * const pay = () => payments.run("4711", async () => ({ receipt: ++charges }), { fingerprint: "10 EUR" });
 * console.log(await Promise.all([pay(), pay()]), charges); // prints: [ { receipt: 1 }, { receipt: 1 } ] 1
 * ```
 */
export function idempotencyGuard(options: IdempotencyGuardOptions = {}): IdempotencyGuard {
  const guard = new Guard(guardSettings(options));
  if (options.name !== undefined) register("idempotency-guard", guard.name, guard, (guard) => guard.stats());
  return guard;
}

class Guard implements IdempotencyGuard {
  readonly name: string;
  readonly #settings: GuardSettings;
  readonly #lines = new Keyed<Line, string>(() => new Line());
  #runs = 0;
  #replays = 0;
  #rejections = 0;

  constructor(settings: GuardSettings) {
    this.name = settings.name;
    this.#settings = settings;
  }

  async run<T>(key: string, task: IdempotentTask<T>, options: IdempotentCallOptions = {}): Promise<T> {
    const { fingerprint = "", signal } = options;
    checkCall(key, task, fingerprint);
    const owned = signal instanceof AbortSignal ? Context.derive({ signal }) : undefined;
    const caller = owned ?? (signal as Context | undefined) ?? Context.current();
    try {
      caller.throwIfCancelled();
      const work = this.#lines.use(key, (line) => this.#enter({ key, fingerprint, task, caller, line }));
      const outcome = await abortable(work, { signal: caller });
      if (outcome.ok) return outcome.value as T; // as this key has always been run with
      throw outcome.error;
    } finally {
      owned?.cancel();
    }
  }

  stats(): ComponentStats {
    return { keys: this.#lines.size, runs: this.#runs, replays: this.#replays, rejections: this.#rejections };
  }

  async #enter(request: IdempotentRequest): Promise<IdempotentOutcome> {
    const { line, caller } = request;
    if (line.running !== undefined) this.#compare(request, line.running);
    // Those who do not wait need no turn: the store tells whether somebody runs.
    if (this.#settings.onDuplicate === "reject") return this.#settled(request) ?? (await this.#begin(request));
    const permit = await line.turn.acquire({ signal: caller });
    try {
      return this.#settled(request) ?? (await this.#begin(request));
    } finally {
      permit.release();
    }
  }

  /** What was just told to the one in front, who may not have been able to tell the store. */
  #settled(request: IdempotentRequest): IdempotentOutcome | undefined {
    const { settled } = request.line;
    if (settled === undefined || this.#settings.clock.now() >= settled.expiresAt) return undefined;
    this.#compare(request, settled.fingerprint);
    return this.#replay(request, settled.text);
  }

  async #begin(request: IdempotentRequest): Promise<IdempotentOutcome> {
    const { store, lease, ttl, clock, onCrash, onDuplicate, onStoreError } = this.#settings;
    const { key, fingerprint, caller } = request;
    const owner = crypto.randomUUID(); // loads the platform's cryptography on first use, not on import
    let takeOver = "";
    for (let look = 0; ; look++) {
      let found: IdempotencyState;
      try {
        found = await store.begin(key, { owner, fingerprint, lease, ttl, takeOver });
      } catch (error) {
        this.#tell("idempotency-store-failed", key, error);
        this.#noteLater(request, leave(owner, takeOver)); // it may have begun nonetheless
        if (onStoreError === "reject") throw error;
        return await this.#runWithoutRecord(request, owner);
      }
      if (found.state === "begun") return await this.#execute(request, owner, found.fence, takeOver || undefined);
      this.#compare(request, found.fingerprint);
      if (found.state === "completed") return this.#replay(request, found.outcome);
      if (found.state === "crashed") {
        if (onCrash === "reject") throw this.#rejected(key, () => new IdempotencyCrashedError(key, found.owner));
        takeOver = found.owner;
        continue; // whoever is first gets it
      }
      if (onDuplicate === "reject") throw this.#rejected(key, () => new IdempotencyConflictError(key));
      await sleep(this.#pause(look), { signal: caller, clock });
    }
  }

  async #execute(
    request: IdempotentRequest,
    owner: string,
    fence: number,
    crashedId: string | undefined,
  ): Promise<IdempotentOutcome> {
    const { key, caller, line } = request;
    if (caller.cancelled) {
      await this.#note(request, leave(owner, crashedId));
      throw caller.cause;
    }
    if (crashedId !== undefined) this.#tell("idempotency-taken-over", key);
    this.#runs++;
    line.running = request.fingerprint;
    const lease = new RunLease(key, owner, ownContext(caller, this.#settings), this.#settings, (error) =>
      this.#tell("idempotency-store-failed", key, error),
    );
    try {
      return await this.#perform(request, { key, id: owner, fence, crashedId }, lease);
    } finally {
      lease.end();
      line.running = undefined;
    }
  }

  async #perform(request: IdempotentRequest, run: IdempotentRun, lease: RunLease): Promise<IdempotentOutcome> {
    const { key, id } = run;
    const { codec, keepFailure, ttl, clock } = this.#settings;
    const crash = (): Promise<unknown> => {
      lease.stop();
      return this.#note(request, (store) => store.renew(key, id, 0));
    };
    let text: string;
    let outcome: IdempotentOutcome;
    try {
      outcome = (await this.#reconcile(run, lease.context)) ?? (await outcomeOf(request.task, lease.context, run));
      if (!outcome.ok && !keepFailure(outcome.error)) {
        lease.stop();
        const isFree = await this.#note(request, leave(id));
        if (isFree === false) this.#tell("idempotency-lost", key, outcome.error);
        return outcome;
      }
      text = codec.encode(outcome);
    } catch (error) {
      await crash(); // what was done stays unknown
      throw error;
    }
    lease.stop();
    const isKept = await this.#note(request, (store) => store.complete(key, id, text, ttl));
    if (isKept === false) {
      const error = new IdempotencyLostError(key, outcome.ok ? undefined : { cause: outcome.error });
      this.#tell("idempotency-lost", key, error);
      throw error;
    }
    request.line.settled = { text, fingerprint: request.fingerprint, expiresAt: clock.now() + ttl };
    return outcome;
  }

  /** What has become of the crashed run before this one, where somebody can tell. */
  async #reconcile(run: IdempotentRun, context: Context): Promise<IdempotentOutcome | undefined> {
    const { onCrash } = this.#settings;
    const { key, crashedId } = run;
    if (crashedId === undefined || typeof onCrash !== "function") return undefined;
    const found = await Context.run(context, () => onCrash({ ...run, crashedId }, context));
    if (found === "rerun") return undefined;
    if (found === "reject") throw this.#rejected(key, () => new IdempotencyCrashedError(key, crashedId));
    return { ok: true, value: found.value };
  }

  async #runWithoutRecord(request: IdempotentRequest, id: string): Promise<IdempotentOutcome> {
    const context = ownContext(request.caller, this.#settings);
    this.#runs++;
    try {
      return await outcomeOf(request.task, context, { key: request.key, id, fence: 0, crashedId: undefined });
    } finally {
      context.cancel();
    }
  }

  /** Tells the store, at once or later; `undefined` if that was not possible at once. */
  async #note(request: IdempotentRequest, step: Step): Promise<boolean | undefined> {
    try {
      return await step(this.#settings.store, request.key);
    } catch (error) {
      this.#tell("idempotency-store-failed", request.key, error);
      this.#noteLater(request, step);
      return undefined;
    }
  }

  /** Behind the scenes, for as long as a lease. Meanwhile the line stays, with what it knows. */
  #noteLater({ key, caller }: IdempotentRequest, step: Step): void {
    const { clock, lease, store } = this.#settings;
    const signal = Context.detach(caller);
    const trying = this.#lines.use(key, async () => {
      for (let attempt = 1; attempt <= attemptsToNote; attempt++) {
        await sleep(lease / attemptsToNote, { signal, clock });
        try {
          return void (await step(store, key));
        } catch (error) {
          this.#tell("idempotency-store-failed", key, error);
        }
      }
    });
    trying.catch(() => {}); // nothing in it rejects
  }

  #compare({ key, fingerprint }: IdempotentRequest, known: string): void {
    if (fingerprint === known || fingerprint === "" || known === "") return;
    throw this.#rejected(key, () => new IdempotencyMismatchError(key));
  }

  #replay({ key }: IdempotentRequest, text: string): IdempotentOutcome {
    this.#replays++;
    this.#tell("idempotency-replayed", key);
    return this.#settings.codec.decode(text);
  }

  #rejected(key: string, make: () => Error): Error {
    const error = rejection(this.#settings.stack, make);
    this.#rejections++;
    this.#tell("idempotency-rejected", key, error);
    return error;
  }

  #tell(kind: IdempotencyEvent["kind"], key: string, error?: unknown): void {
    if (listening()) tell({ kind, name: this.name, key, error });
  }

  /** Between half and one and a half times what is due. */
  #pause(look: number): number {
    const { poll, random } = this.#settings;
    return poll * Math.min(10, 1.5 ** look) * (0.5 + random());
  }
}
