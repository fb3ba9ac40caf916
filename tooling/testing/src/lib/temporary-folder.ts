// A folder of one test, removed with all it holds when the test lets go of it or its process dies.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeFolderOnDeath } from "./guard.ts";

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

/**
 * Makes an empty folder under the system's temporary folder.
 *
 * @example
 * ```ts
 * await using folder = await temporaryFolder();
 * await writeFile(join(folder.path, "notes.txt"), "gone when the test ends");
 * ```
 */
export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), "proj-"));
  const forget = removeFolderOnDeath(path);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
      forget();
    },
  };
}
