// What the runner asks of a child process, and what the child answers.
import type { LoadTarget } from "./load.ts";
import type { MeasureOptions } from "./measure-operation.ts";

/** Where to find a case: in the benchmark of that title which the file exports. */
export interface CaseAddress {
  readonly file: string;
  readonly title: string;
  readonly name: string;
}

export type Job = CaseAddress &
  (
    | { readonly task: "check-operation" }
    | { readonly task: "measure-operation"; readonly options: MeasureOptions }
    | { readonly task: "serve" }
    | { readonly task: "check-server"; readonly url: string }
    | { readonly task: "load"; readonly target: LoadTarget }
  );

export type Reply =
  | { readonly kind: "done"; readonly result: unknown }
  | { readonly kind: "failed"; readonly message: string };
