// Makes DOM elements; text is always text, never markup.

/** `element("a", { href: "/" }, "Home")`; a property that is undefined or false is left out. */
export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Number.POSITIVE_INFINITY).filter((child) => child !== undefined && child !== null));
  return node;
}
