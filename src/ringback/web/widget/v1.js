/* Ringback: "call me back" on a web page. docs/callmeback.md says how to use it.

   This part draws the button. It makes one request, stores nothing, and loads the dialog (v1/panel.js and what stands
   beside it) when a visitor opens it. No text is ever made markup. Styles come by adoptedStyleSheets, which need no line
   in the page's Content-Security-Policy. */
(() => {
"use strict";

const TAG = document.currentScript || document.querySelector('script[data-id][src*="/callme/v1.js"]');
const KEY = TAG.dataset.id;
const BASE = new URL(".", TAG.src).href;
const IS_TEST = "test" in TAG.dataset;
const SLOT = `ringback:${KEY}`;
const SETTLE_MS = 50; // a page that changes much is looked at once in so long

const PATHS = {
  phone: "M6.6 10.8a15 15 0 0 0 6.6 6.6l2.2-2.2a1 1 0 0 1 1-.2 11.4 11.4 0 0 0 3.6.6 1 1 0 0 1 1 1V20a1 1 0 0 1-1 1A17 17 0 0 1 3 4a1 1 0 0 1 1-1h3.5a1 1 0 0 1 1 1c0 1.3.2 2.5.6 3.6a1 1 0 0 1-.3 1z",
  close: "M6.4 5 5 6.4l5.6 5.6L5 17.6 6.4 19l5.6-5.6 5.6 5.6 1.4-1.4-5.6-5.6L19 6.4 17.6 5 12 10.6z",
  done: "M9.5 16.2 5.3 12l-1.4 1.4 5.6 5.6L21 7.5l-1.4-1.4z",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zm0 2a7 7 0 1 1 0 14 7 7 0 0 1 0-14zm-1 2v5.4l4.2 2.5 1-1.6-3.2-1.9V7z",
  sorry: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zm-1 4h2v7h-2zm0 8.5h2v2h-2z",
};

// `all: initial !important` of the host keeps the page's styles out, whatever they say of unknown elements.
const STYLE = `
:host {
  all: initial !important; color-scheme: light dark;
  --ground: #fff; --ink: #161b22; --soft: #535d69; --edge: #7c8794; --line: #e3e7ec; --tint: #eaf0fd;
  --accent: #1a52cc; --over: #123f9f; --on: #fff; --good: #0b7a4b; --bad: #b3261e;
  --font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
* { box-sizing: border-box; }
svg { display: block; flex: none; width: 24px; height: 24px; fill: currentColor; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.open {
  position: fixed; z-index: 2147483000; display: flex; align-items: center; gap: 10px;
  min-width: 60px; min-height: 60px; max-width: calc(100vw - 40px); padding: 12px 18px; border: 0; border-radius: 30px; cursor: pointer;
  background: var(--accent); color: var(--on); font: var(--font); font-weight: 600; text-align: start;
  box-shadow: 0 1px 3px #0b1a3340, 0 8px 24px #0b1a3340; transition: background .15s, scale .15s;
}
.open:hover { background: var(--over); }
.open:active { scale: .96; }
.open:focus-visible { outline-offset: 3px; box-shadow: 0 0 0 3px var(--ground); }
.open.picture { padding: 0; min-width: 44px; min-height: 44px; border-radius: 8px; background: none; box-shadow: none; }
.open img { display: block; max-width: min(260px, 60vw); max-height: 140px; }
.open.busy svg { animation: ring 1.2s infinite; }
.dot { position: absolute; right: 3px; top: 3px; width: 15px; height: 15px; border-radius: 50%; border: 3px solid var(--ground); background: #1fb574; }
.bubble {
  position: absolute; top: 50%; translate: 0 -50%; padding: 6px 12px; border-radius: 8px; white-space: nowrap;
  background: #161b22; color: #fff; font-size: 14px; font-weight: 500; opacity: 0; pointer-events: none; transition: opacity .15s;
}
.open:hover .bubble, .open:focus-visible .bubble { opacity: 1; }
[data-x=right] { right: max(20px, env(safe-area-inset-right)); }
[data-x=left] { left: max(20px, env(safe-area-inset-left)); }
[data-x=center].open { left: 50%; transform: translateX(-50%); }
[data-y=top].open { top: calc(20px + var(--nth) * 72px); }
[data-y=middle].open { top: calc(50% + var(--nth) * 72px); transform: translateY(-50%); }
[data-y=bottom].open { bottom: calc(max(20px, env(safe-area-inset-bottom)) + var(--nth) * 72px); }
[data-x=right] .bubble { right: calc(100% + 12px); }
[data-x=left] .bubble { left: calc(100% + 12px); }
[data-x=center] .bubble { left: 50%; top: auto; bottom: calc(100% + 10px); translate: -50% 0; }
[data-x=center][data-y=top] .bubble { bottom: auto; top: calc(100% + 10px); }
@keyframes ring { 0%, 60%, to { rotate: 0deg } 10%, 30%, 50% { rotate: -14deg } 20%, 40% { rotate: 14deg } }
@media (prefers-color-scheme: dark) {
  :host {
    --ground: #181d24; --ink: #eef1f5; --soft: #aeb8c4; --edge: #76818e; --line: #323a45; --tint: #243044;
    --accent: #8ab4ff; --over: #b0ccff; --on: #0b1a33; --good: #5fd7a0; --bad: #ffaaa1;
  }
  .bubble { background: #eef1f5; color: #161b22; }
}
@media (prefers-reduced-motion: reduce) { *, ::before, ::after { animation: none !important; transition: none !important; } }
@media (forced-colors: active) { .open { border: 2px solid; } }
@media print { :host { display: none !important; } }
`;

/** What the server says as {ok, status, …its JSON}; status 0 when it cannot be reached. */
async function ask(method, path, body) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  const keepalive = method === "DELETE"; // also when the page is left just then
  const sent = { method, headers, body: body && JSON.stringify(body), credentials: "omit", cache: "no-store", keepalive };
  try {
    const reply = await fetch(BASE + KEY + path, sent);
    return { ...(await reply.json().catch(() => null)), ok: reply.ok, status: reply.status };
  } catch {
    return { ok: false, status: 0 };
  }
}

/** What this tab knows: a random id, and the request under way. Empty until the dialog was opened. */
function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(SLOT)) || {};
  } catch {
    return {}; // a page in a sandbox has no storage
  }
}

function remember(changes) {
  try {
    sessionStorage.setItem(SLOT, JSON.stringify({ ...remembered(), ...changes }));
  } catch {} // so the visitor gets a new id on the next page
}

/** Tells the page's analytics; nothing in it says who the visitor is. */
function tell(name, detail) {
  const all = { id: KEY, test: IS_TEST, ...detail };
  document.dispatchEvent(new CustomEvent(`ringback:${name}`, { bubbles: true, detail: all }));
}

/** An element. What it has as a property is set so, anything else is an attribute; children that are nothing are left out. */
function el(name, properties, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties || {})) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter(Boolean));
  return element;
}

function icon(name) {
  const [svg, path] = ["svg", "path"].map((each) => document.createElementNS("http://www.w3.org/2000/svg", each));
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

const isImage = (data) => /^(https:|data:image\/)/i.test(data || "");
const isOurs = (element) => (element.dataset.ringbackButton || KEY) === KEY;
const own = () => [...document.querySelectorAll("[data-ringback-button]")].filter(isOurs);

class Widget {
  constructor(config) {
    this.config = config;
    this.key = KEY;
    this.isTest = IS_TEST;
    this.dressed = new WeakSet();
    this.label = config.texts[config.is_available ? "button_online" : "button_offline"];
    this.face = config.button && config.button[config.is_available ? "online" : "offline"];
    // Whatever the page's direction, left is left; the texts go the way of the widget's own language.
    this.host = el("ringback-widget", { lang: config.culture, dir: "ltr" });
    this.root = this.host.attachShadow({ mode: "open" }); // open, so that checkers of accessibility see it
    this.add(STYLE);
    if (config.floating_icon) this.root.append(this.floating());
  }

  add(style) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    this.root.adoptedStyleSheets = [...this.root.adoptedStyleSheets, sheet];
  }

  floating() {
    const at = this.config.position;
    const [y, x] = at.split("_");
    this.button = el("button", { className: "open", type: "button", "aria-haspopup": "dialog", "data-x": x, "data-y": y, onclick: () => this.open() });
    this.button.style.setProperty("--nth", document.querySelectorAll(`ringback-widget[data-at=${at}]`).length);
    this.host.dataset.at = at;
    if (isImage(this.face)) this.picture();
    else this.draw(this.face || "");
    return el("aside", { "aria-label": this.label }, this.button);
  }

  draw(text) {
    const label = el("span", { className: text ? "" : "bubble", dir: "auto" }, text || this.label);
    const dot = this.config.is_available && el("span", { className: "dot" });
    this.button.classList.remove("picture");
    this.button.replaceChildren(icon(this.config.is_available ? "phone" : "clock"), label, dot || "");
  }

  /** An image that cannot be had makes place for the icon. */
  picture() {
    this.button.classList.add("picture");
    this.button.append(el("img", { alt: this.label, onerror: () => this.draw(""), src: this.face }));
  }

  /** The dialog, loaded once; after a failure (no network) the next click tries again. */
  panel() {
    this.loading ||= Promise.all(["panel", "request", "numbers", "proof", "style"].map((name) => import(`${BASE}v1/${name}.js`)))
      .then(([{ Panel }, { Request }, numbers, { solved }, { STYLE: style }]) => {
        this.add(style);
        return new Panel(this, { Request, numbers, solved, ask, remembered, remember, tell, el, icon });
      })
      .catch((error) => {
        this.loading = null;
        throw error;
      });
    return this.loading;
  }

  async open(from = this.button || document.activeElement) {
    (await this.panel()).open(from);
  }

  async close() {
    (await this.loading)?.close();
  }

  /** A call that another page of this tab began is shown again. */
  async resume() {
    const { request } = remembered();
    if (request) (await this.panel()).resume(request);
  }

  /** Brings back what a change of the page took away, and dresses what it brought. */
  settle() {
    if (!this.host.isConnected) document.body.append(this.host);
    for (const element of own()) if (!this.dressed.has(element)) this.dress(element);
  }

  dress(element) {
    this.dressed.add(element);
    const broken = () => element.replaceChildren(this.label);
    if (isImage(this.face)) element.replaceChildren(el("img", { alt: this.label, onerror: broken, src: this.face }));
    else if (this.face) element.textContent = this.face;
    const isButton = element.matches("button, a[href], input, summary");
    if (!isButton) Object.assign(element, { role: "button", tabIndex: 0 });
    element.setAttribute("aria-haspopup", "dialog");
    element.addEventListener("click", (event) => this.pressed(event, element));
    element.addEventListener("keydown", (event) => !isButton && ["Enter", " "].includes(event.key) && this.pressed(event, element));
    element.hidden = false;
  }

  pressed(event, element) {
    event.preventDefault();
    this.open(element);
  }
}

async function start() {
  const config = await ask("GET", "");
  if (document.readyState === "loading") await new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve));
  if (!config.ok || !config.is_shown) {
    for (const element of own()) element.hidden = true; // rather than a button that does nothing
    if (!config.ok) console.warn(`Ringback: no button here. Is ${location.hostname} in allowed_domains, and the data-id right?`);
    return;
  }
  const widget = new Widget(config);
  let due = 0;
  const settle = () => {
    due = 0;
    widget.settle();
  };
  settle();
  new MutationObserver(() => (due ||= setTimeout(settle, SETTLE_MS))).observe(document, { childList: true, subtree: true });
  widget.resume();
  return widget;
}

// For the page: ringback.open() and ringback.close(), with a data-id where there are several.
const ringback = (window.ringback ||= {
  widgets: new Map(),
  find(id) { return id ? this.widgets.get(id) : this.widgets.values().next().value; },
  async open(id) { (await this.find(id))?.open(); },
  async close(id) { (await this.find(id))?.close(); },
});
if (KEY && !ringback.widgets.has(KEY)) ringback.widgets.set(KEY, start());
})();
