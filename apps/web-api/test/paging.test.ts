import fc from "fast-check";
import { expect, test } from "vitest";
import type { ListOptions } from "../src/licence-store.ts";
import { openApi } from "./open-api.ts";

interface Entry {
  readonly id: string;
  readonly name: string;
  readonly policy: "approved" | "unset";
  readonly order: number;
}

const entry = fc.record({
  // Few different names, so that many licences share one and the id must decide.
  name: fc.constantFrom("a", "A", "b", "ä", "z", "\u{1f600}", "\uffee"),
  policy: fc.constantFrom("approved", "unset"),
});

const action = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("page" as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("add" as const), entry }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const), index: fc.nat() }) },
);

/** As SQLite does: ASCII letters without case, then bytes. */
function compareText(a: string, b: string): number {
  const fold = (text: string) => Buffer.from(text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()));
  return Buffer.compare(fold(a), fold(b));
}

test("pages by key show each licence that stays exactly once and in order, whatever is written between them", {
  timeout: 60_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        sort: fc.constantFrom("id", "name", "updatedAt"),
        descending: fc.boolean(),
        limit: fc.integer({ min: 1, max: 4 }),
        policy: fc.constantFrom(undefined, "approved" as const),
        initial: fc.array(entry, { maxLength: 12 }),
        actions: fc.array(action, { maxLength: 25 }),
      }),
      async ({ sort, descending, limit, policy, initial, actions }) => {
        await using api = await openApi();
        const model: Entry[] = [];
        const everThere = new Set<string>();
        let serial = 0;
        const add = ({ name, policy }: Pick<Entry, "name" | "policy">) => {
          const id = `L${(serial * 7919) % 1000}`;
          const { licence } = api.store.create({
            id,
            name,
            policy,
            url: null,
            osiApproved: false,
            notes: "",
            text: "x",
          });
          model.push({ id, name, policy, order: Date.parse(licence.updatedAt) });
          serial++;
        };
        const compare = (a: Entry, b: Entry) => {
          const byKey = sort === "name" ? compareText(a.name, b.name) : sort === "updatedAt" ? a.order - b.order : 0;
          return (byKey || compareText(a.id, b.id)) * (descending ? -1 : 1);
        };
        for (const item of initial) add(item);
        const stayed = new Set(model.map(({ id }) => id));

        const seen: string[] = [];
        const options: ListOptions = { sort, descending, limit, policy };
        let next: ListOptions["after"];
        let last = false;
        const readPage = () => {
          const page = api.store.list({ ...options, after: next });
          const selected = model.filter((item) => policy === undefined || item.policy === policy).sort(compare);
          expect(page.total).toBe(selected.length);
          if (next === undefined) {
            expect(page.items.map(({ id }) => id)).toEqual(selected.slice(0, limit).map(({ id }) => id));
          }
          seen.push(...page.items.map(({ id }) => id));
          next = page.next;
          last = page.next === undefined;
        };
        for (const step of actions) {
          if (step.kind === "add") add(step.entry);
          else if (step.kind === "page" && !last) readPage();
          else if (step.kind === "delete" && model.length > 0) {
            const [gone] = model.splice(step.index % model.length, 1);
            if (gone === undefined) continue;
            api.store.delete(gone.id, () => {});
            stayed.delete(gone.id);
          }
          for (const { id } of model) everThere.add(id);
        }
        while (!last) readPage();

        expect(new Set(seen).size).toBe(seen.length);
        for (const item of model) {
          const wanted = stayed.has(item.id) && (policy === undefined || item.policy === policy);
          if (wanted) expect(seen).toContain(item.id);
        }
        const shown = seen.flatMap((id) => model.find((item) => item.id === id) ?? []);
        expect(shown).toEqual([...shown].sort(compare));
      },
    ),
    { numRuns: 40 },
  );
});

test("pages by relevance continue behind the last licence while others are added", { timeout: 60_000 }, async () => {
  await using api = await openApi();
  const add = (id: string, text: string) =>
    api.store.create({ id, name: id, policy: "unset", url: null, osiApproved: false, notes: "", text });
  for (let index = 0; index < 20; index++) add(`L${index}`, `apple ${"pear ".repeat(index)}`);

  const seen: string[] = [];
  let cursor = "";
  do {
    const { json } = await api.ask("GET", `/licences?q=apple&limit=3${cursor}`);
    seen.push(...json.items.map(({ id }) => id));
    add(`New${seen.length}`, "apple apple"); // ranks before all that is still to come
    cursor = json.next === null ? "" : `&cursor=${json.next}`;
  } while (cursor !== "");

  const original = seen.filter((id) => id.startsWith("L"));
  expect(original).toEqual(Array.from({ length: 20 }, (_, index) => `L${index}`));
});
