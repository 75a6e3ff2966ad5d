// The widget with settings out of the URL's fragment: base64url of JSON, as GET /callme/KEY answers, without texts.
// Anybody can write such a fragment, so each value is taken only as what it must be. This page answers the widget itself.
"use strict";

const KEY = "preview-of-a-widget";
const HERE = new URL(".", document.currentScript.src);
const ROOT = new URL(`../${KEY}`, HERE).href;
const CULTURES = ["en", "es", "de", "fr", "pl", "pt", "it", "nl"];
const POSITIONS = ["top_left", "top_center", "top_right", "middle_left", "middle_right", "bottom_left", "bottom_center", "bottom_right"];
const LONGEST = 300_000; // a button's image is up to 256 KiB
const MOST_WARNINGS = 20;

// What there is to choose: [name, the request's state, side, reason], and the steps that a call takes here by itself.
const STATES = [
  ["The form"],
  ["Later: the number is left"],
  ["Waiting", "REQUESTED"],
  ["Calling your team", "CALLING", "agent"],
  ["Calling the visitor", "CALLING", "visitor"],
  ["Connected", "CONNECTED"],
  ["Ended", "ENDED"],
  ["Cancelled", "ENDED", null, "cancelled"],
  ["Your lines are busy", "FAILED", "agent", "busy"],
  ["The visitor's line is busy", "FAILED", "visitor", "busy"],
  ["Nobody of your team answers", "FAILED", "agent", "no_answer"],
  ["The visitor does not answer", "FAILED", "visitor", "no_answer"],
  ["The call fails", "FAILED", null, "failed"],
  ["The number is refused", "REFUSED"],
  ["The number is kept", "OFFLINE"],
].map(([name, state, side, reason]) => ({ name, state, side, reason }));
const ERRORS = ["number", "country", "later", "closed", "unavailable", "challenge", "refused", "network"];
const STEPS_MS = [[1500, 2], [4500, 3], [8000, 4], [16000, 5], [Infinity, 6]];

const text = (value) => (typeof value === "string" && value.length <= LONGEST ? value : null);
const among = (value, all) => (all.includes(value) ? value : all[0]);

function given() {
  try {
    const bytes = Uint8Array.from(atob(location.hash.slice(1).replace(/-/g, "+").replace(/_/g, "/")), (each) => each.charCodeAt(0));
    return Object(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return {};
  }
}

function countriesOf(value) {
  const all = Array.isArray(value) ? value : [["GB", "44"]];
  return all.filter((each) => Array.isArray(each) && /^[A-Z]{2}$/.test(each[0]) && /^\d{1,4}$/.test(each[1])).map(([id, code]) => [String(id), String(code)]);
}

/** A configuration in which every value is of its kind, whatever the fragment says. */
function settings(wanted) {
  const countries = countriesOf(wanted.countries);
  const button = wanted.button && { online: text(wanted.button.online), offline: text(wanted.button.offline) };
  return {
    culture: among(wanted.culture, CULTURES),
    position: among(wanted.position, ["bottom_right", ...POSITIONS]),
    floating_icon: wanted.floating_icon !== false,
    title: text(wanted.title),
    message: text(wanted.message),
    privacy_url: text(wanted.privacy_url),
    button: button || null,
    countries,
    country: countries.some((each) => each[0] === wanted.country) ? wanted.country : null,
    is_shown: true,
    is_available: wanted.is_available !== false,
    opens_at: Number.isSafeInteger(wanted.opens_at) && Math.abs(wanted.opens_at) < 1e11 ? wanted.opens_at : null,
    has_chat: false,
  };
}

/** What still keeps this setting from calling anybody. */
function warn(wanted) {
  const all = Array.isArray(wanted.warnings) ? wanted.warnings.map(text).filter(Boolean).slice(0, MOST_WARNINGS) : [];
  const list = document.getElementById("warnings");
  list.append(...all.map((textContent) => Object.assign(document.createElement("li"), { textContent })));
  list.hidden = all.length === 0;
}

/** What the server would say, made here. */
function answer(method, path, config, began) {
  if (method === "GET" && path === "") return config;
  if (path === "/visitors") return { visitor: "-", challenge: { salt: "preview", bits: 8 } };
  if (path === "/challenge") return { salt: "preview", bits: 8 };
  if (path === "/requests") return { request: "-", state: config.is_available ? "REQUESTED" : "OFFLINE" };
  const step = STEPS_MS.find(([until]) => Date.now() - began.at < until)[1];
  return began.shown || STATES[step];
}

/** Takes the place of the server for the widget, whose script stands behind this one in the page. */
function standIn(ready) {
  const began = { at: 0, shown: null };
  const real = window.fetch;
  window.fetch = async (address, options = {}) => {
    if (!String(address).startsWith(ROOT)) return real(address, options);
    const path = String(address).slice(ROOT.length);
    if (path === "/requests") Object.assign(began, { at: Date.now(), shown: null });
    return new Response(JSON.stringify(answer(options.method, path, await ready, began)));
  };
  return began;
}

function choices(select) {
  const option = (value, name) => Object.assign(document.createElement("option"), { value, textContent: name });
  STATES.forEach(({ name }, index) => select.append(option(index, name)));
  ERRORS.forEach((code) => select.append(option(code, `Error: ${code}`)));
}

async function show(chosen, began) {
  const widget = await window.ringback.widgets.get(KEY);
  const panel = await widget.panel();
  const state = STATES[chosen];
  began.shown = state?.state ? state : null;
  if (!state) panel.form(panel.isLater);
  else if (state.state) panel.follow("-", "020 7946 0000");
  else panel.form(chosen === "1");
  panel.open(document.getElementById("state"));
  if (!state) panel.change(panel.isLater, chosen);
  else if (state.state) panel.request.advance(state);
}

async function configuration() {
  const config = settings(given());
  const texts = await fetch(new URL(`${config.culture}.json`, HERE));
  return { ...config, texts: await texts.json() };
}

sessionStorage.clear(); // a call that was shown before is over
const began = standIn(configuration());
choices(document.getElementById("state"));
warn(given());
document.forms[0].addEventListener("submit", (event) => {
  event.preventDefault();
  show(document.getElementById("state").value, began);
});
addEventListener("hashchange", () => location.reload());
