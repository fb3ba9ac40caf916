// What goes in and out of the API, once: input is validated, answers are described and the documentation is made by these.
import { z } from "zod";

/** Longest text of a licence, in UTF-16 code units. The longest one of the SPDX list has 46,063. */
const longestText = 300_000;

export const policySchema = z
  .enum(["approved", "review", "denied", "unset"])
  .describe("What the company says about using code under this licence.");

const idSchema = z
  .string()
  .max(64)
  .regex(/^[A-Za-z0-9][A-Za-z0-9.+-]*$/, "expected letters, digits, dots, plus and minus signs")
  .describe("Identifier, as in SPDX expressions. Letter case does not count when looking it up.");

/** What UTF-8 can hold: anything else would not come back from the database as it was sent. */
function textOf(schema: z.ZodString): z.ZodString {
  return schema.refine((text) => text.isWellFormed(), "has half of a surrogate pair: it is no Unicode text");
}

const nameSchema = textOf(z.string().trim().min(1).max(300)).describe("Full name.");
const urlSchema = z
  .url({ protocol: /^https?$/ })
  .max(2_000)
  .nullable()
  .describe("Where the licence is published.");
const osiApprovedSchema = z.boolean().describe("Whether the Open Source Initiative approves it.");
const notesSchema = textOf(z.string().max(10_000)).describe("Remarks for colleagues.");
const textSchema = textOf(z.string().trim().min(1).max(longestText)).describe("Full text.");

export const licenceSummarySchema = z.strictObject({
  id: idSchema,
  name: nameSchema,
  url: z.string().nullable().describe("Where the licence is published."),
  osiApproved: osiApprovedSchema,
  custom: z.boolean().describe("Whether it was added here; all others come from the SPDX list."),
  policy: policySchema,
  notes: notesSchema,
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});

export const licenceSchema = licenceSummarySchema.extend({ text: textSchema });

const snippetSchema = z
  .array(z.strictObject({ text: z.string(), match: z.boolean() }))
  .describe("The best passage for the search, in pieces; those that match are marked.");

export const licencePageSchema = z.strictObject({
  items: z.array(licenceSummarySchema.extend({ snippet: snippetSchema.optional() })),
  total: z.int().min(0).describe("How many licences the filters select, on all pages."),
  next: z.string().nullable().describe("Cursor of the next page; null on the last one."),
});

const writable = {
  name: nameSchema,
  url: urlSchema.default(null),
  osiApproved: osiApprovedSchema.default(false),
  policy: policySchema.default("unset"),
  notes: notesSchema.default(""),
  text: textSchema,
};

export const newLicenceSchema = z.strictObject({ id: idSchema, ...writable });

export const licenceReplacementSchema = z.strictObject(writable);

export const licencePatchSchema = z
  .strictObject({
    name: nameSchema.optional(),
    url: urlSchema.optional(),
    osiApproved: osiApprovedSchema.optional(),
    policy: policySchema.optional(),
    notes: notesSchema.optional(),
    text: textSchema.optional(),
  })
  .refine((patch) => Object.keys(patch).length > 0, "expected at least one field to change")
  .meta({ minProperties: 1 });

export const licencePathSchema = z.strictObject({ id: idSchema });

export const listQuerySchema = z.strictObject({
  q: z
    .string()
    .trim()
    .max(200)
    .optional()
    .describe("Full-text search: all words must occur, the last one may be begun."),
  policy: policySchema.optional(),
  osiApproved: queryFlag().optional().describe("Only those the Open Source Initiative approves, or only the others."),
  custom: queryFlag().optional().describe("Only those added here, or only those of the SPDX list."),
  sort: z
    .enum(["id", "-id", "name", "-name", "updatedAt", "-updatedAt", "relevance"])
    .optional()
    .describe("A minus sign turns the order round. Default: relevance in a search, else id."),
  limit: z.preprocess(toNumber, z.int().min(1).max(100)).optional().describe("Licences on one page. Default: 20."),
  cursor: z
    .string()
    .max(2_000)
    .optional()
    .describe("The `next` of the page before, with the other parameters unchanged."),
});

export const problemSchema = z.object({
  type: z.string().optional(),
  title: z.string(),
  status: z.int().min(400).max(599),
  detail: z.string(),
  errors: z
    .array(
      z.strictObject({
        in: z.enum(["body", "query", "path", "header"]),
        field: z.string().describe("Name of the parameter, header or member; dots lead into nested ones."),
        message: z.string(),
        received: z.unknown().optional(),
      }),
    )
    .optional()
    .describe("What is wrong with the input, field by field."),
});

export const healthSchema = z.strictObject({ status: z.enum(["ok", "starting", "draining", "failed"]) });

export type Policy = z.output<typeof policySchema>;
export type Licence = z.output<typeof licenceSchema>;
export type LicenceSummary = z.output<typeof licenceSummarySchema>;
export type LicencePage = z.output<typeof licencePageSchema>;
export type NewLicence = z.output<typeof newLicenceSchema>;
export type LicenceFields = z.output<typeof licenceReplacementSchema>;
export type ListQuery = z.output<typeof listQuerySchema>;
export type FieldError = NonNullable<z.output<typeof problemSchema>["errors"]>[number];

/** A query parameter that is `true` or `false`. */
function queryFlag() {
  return z.preprocess((value) => (value === "true" ? true : value === "false" ? false : value), z.boolean());
}

function toNumber(value: unknown): unknown {
  return typeof value === "string" && /^-?\d{1,9}$/.test(value) ? Number(value) : value;
}
