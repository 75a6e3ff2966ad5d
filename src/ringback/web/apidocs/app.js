// Starts the page: loads the document, shows the family that the address names, keeps the token for this tab.

import { el } from "./dom.js";
import { matches, modulesOf } from "./model.js";
import { familyList, introduction, operationView } from "./view.js";

const byId = (id) => document.getElementById(id);
const [main, families, menu, token, base, find] = ["main", "families", "menu", "token", "base", "find"].map(byId);
const KEY = "ringback-token";
const PHONE = matchMedia("(max-width: 50rem)");

const session = {
  token: () => token.value.trim(),
  // The page and the API share their origin and any prefix that a proxy puts in front.
  base: () => new URL(`.${base.value}`, location.href).href,
  keep(value) {
    token.value = value;
    sessionStorage.setItem(KEY, value);
  },
};

async function start() {
  token.value = sessionStorage.getItem(KEY) ?? "";
  token.addEventListener("input", () => sessionStorage.setItem(KEY, session.token()));
  menu.open = !PHONE.matches;
  const spec = await (await fetch("openapi.json")).json();
  base.append(...spec.servers.map((each) => el("option", {}, each.url.slice(each.url.lastIndexOf("/v1")))));
  const modules = modulesOf(spec);
  const show = () => showPage(spec, modules);
  addEventListener("hashchange", () => {
    find.value = "";
    if (PHONE.matches) menu.open = false;
    show();
    main.focus();
    scrollTo(0, 0);
  });
  find.addEventListener("input", show);
  show();
}

function showPage(spec, modules) {
  const all = modules.flatMap((each) => each.families);
  const wanted = decodeURIComponent(location.hash.slice(2));
  const family = all.find((each) => each.name === wanted);
  const words = find.value.trim();
  families.replaceChildren(...familyList(modules, words ? null : (family?.name ?? "")));
  if (words) {
    const found = all.flatMap((each) => each.operations).filter((each) => matches(each, words));
    showOperations(spec, `${found.length} found`, found);
  } else if (family) {
    showOperations(spec, family.name, family.operations);
  } else {
    showContent("Introduction", [introduction(spec)]);
  }
}

function showOperations(spec, title, operations) {
  showContent(title, operations.map((each) => operationView(spec, each, session)));
}

function showContent(title, parts) {
  document.title = `${title} – Ringback API`;
  main.replaceChildren(el("h2", {}, title), ...parts);
}

start().catch((error) => main.replaceChildren(el("p", { className: "bad" }, `The page cannot be shown: ${error.message}`)));
