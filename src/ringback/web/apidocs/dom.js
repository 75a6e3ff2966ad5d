// Elements are made of names, properties and texts only: no text ever becomes markup.

/** An element. `properties` are set as properties, except `aria-…`, `data-…` and `for`, which are attributes. */
export function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "for") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** Headings (`## `), indented code and paragraphs, separated by empty lines. */
export function article(text) {
  return text.trim().split(/\n\n(?=\S)|\n\n(?= {4})/).map((part) => {
    if (part.startsWith("## ")) return el("h3", {}, part.slice(3));
    if (part.startsWith("    ")) return el("pre", { tabIndex: 0, className: "curl" }, part.replaceAll(/^ {4}/gm, ""));
    return el("p", {}, prose(part.replaceAll("\n", " ")));
  });
}

/** A text in which `words` in backquotes are code. */
export function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));
}
