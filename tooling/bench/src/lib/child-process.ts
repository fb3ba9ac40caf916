// The runner's end of a child: gives it a job and takes its answers.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { Job, Reply } from "./job.ts";

/** A case took longer than any case should; it probably hangs. */
const deadline = 180_000;

/** A running job; disposing of it ends the process. */
export class Child implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #name: string;
  readonly #exited: Promise<unknown>;
  #errors = "";

  constructor(job: Job) {
    this.#name = job.name;
    this.#process = fork(new URL("./child.ts", import.meta.url), [JSON.stringify(job)], {
      execArgv: [...process.execArgv, "--expose-gc"],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errors = (this.#errors + text).slice(-4_000);
    });
    this.#exited = once(this.#process, "exit");
  }

  /** The next answer; rejects when the job fails, the process ends without an answer, or neither happens for minutes. */
  async receive(): Promise<unknown> {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(new Error(`"${this.#name}" gave no answer in ${deadline} ms`)), deadline);
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const onExit = (code: number | null, signal: string | null): void =>
      reject(new Error(`The process of "${this.#name}" ended with ${signal ?? code}: ${this.#errors.trim()}`));
    this.#process.once("exit", onExit);
    try {
      const message = once(this.#process, "message", { signal: stop.signal });
      message.catch(() => {}); // when the process ended first
      const [reply] = (await Promise.race([message, ended])) as [Reply];
      if (reply.kind === "failed") throw new Error(`"${this.#name}" failed: ${reply.message}`);
      return reply.result;
    } catch (error) {
      throw stop.signal.aborted ? stop.signal.reason : error;
    } finally {
      clearTimeout(timer);
      this.#process.off("exit", onExit);
      stop.abort();
    }
  }

  /** Asks a serving process for the CPU time it has used, in microseconds. */
  async cpuTime(): Promise<number> {
    const answer = this.receive();
    this.#process.send("cpu");
    const { user, system } = (await answer) as NodeJS.CpuUsage;
    return user + system;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#exited;
  }
}

/** Runs a job that has one answer. */
export async function runJob(job: Job): Promise<unknown> {
  await using child = new Child(job);
  return await child.receive();
}
