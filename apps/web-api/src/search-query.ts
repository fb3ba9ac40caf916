// Turns what a person typed into an FTS5 query that means what they typed, whatever they typed.

/**
 * Each word becomes a quoted string, so that no character is syntax; all must occur, and the last one may be begun.
 * A word of several tokens, such as `GPL-3.0`, must occur as it is. Undefined when there is no letter or digit to look for.
 */
export function toSearchQuery(text: string): string | undefined {
  const words = text
    .replace(/\p{Cc}/gu, " ")
    .toWellFormed()
    .split(/\s+/)
    .filter((word) => /[\p{L}\p{N}]/u.test(word));
  if (words.length === 0) return undefined;
  return `${words.map((word) => `"${word.replaceAll('"', '""')}"`).join(" ")}*`;
}
