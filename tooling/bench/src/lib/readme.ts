// Puts results into a README, between `<!-- bench:start NAME -->` and `<!-- bench:end NAME -->`.

/** Returns the README with the text between the marks of that name; throws where it has no such marks. */
export function replaceBetweenMarks(readme: string, name: string, text: string): string {
  const start = `<!-- bench:start ${name} -->`;
  const end = `<!-- bench:end ${name} -->`;
  const from = readme.indexOf(start);
  const to = readme.indexOf(end, from);
  if (from === -1 || to === -1)
    throw new Error(`Cannot write the results: the README lacks the lines ${start} and ${end}`);
  return `${readme.slice(0, from + start.length)}\n${text}\n${readme.slice(to)}`;
}
