// Shows what runs: one line that changes on a terminal, nothing elsewhere.
export interface Progress {
  show(text: string): void;
  clear(): void;
}

export function showProgress(stream: NodeJS.WriteStream): Progress {
  if (!stream.isTTY) return { show: () => {}, clear: () => {} };
  return {
    show: (text) => void stream.write(`\r\x1b[K${text.slice(0, stream.columns - 1)}`),
    clear: () => void stream.write("\r\x1b[K"),
  };
}
