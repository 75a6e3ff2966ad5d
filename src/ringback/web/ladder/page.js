"use strict";
(() => {
  const root = document.documentElement;
  const links = Array.from(document.querySelectorAll("a.step"));
  const panel = document.getElementById("messages");

  function show(link) {
    for (const each of document.querySelectorAll(".shown")) each.classList.remove("shown");
    for (const each of links) each.removeAttribute("aria-current");
    link.classList.add("shown");
    link.setAttribute("aria-current", "true");
    document.getElementById(link.getAttribute("href").slice(1)).classList.add("shown");
    panel.scrollTop = 0;
  }

  function go(from, by) {
    const link = links[links.indexOf(from) + by];
    if (!link) return;
    link.focus();
    show(link);
  }

  document.addEventListener("click", (event) => {
    const chosen = event.target.closest("a.step, a.proof");
    const link = links.find((each) => each.getAttribute("href") === chosen?.getAttribute("href"));
    if (!link) return;
    event.preventDefault();
    if (link !== chosen) link.scrollIntoView({ block: "center" });
    show(link);
  });
  document.addEventListener("keydown", (event) => {
    const link = event.target.closest("a.step");
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!link || !by) return;
    event.preventDefault();
    go(link, by);
  });

  if (!links.length) return;
  root.classList.add("live");
  panel.setAttribute("aria-live", "polite");
  show(links.find((each) => each.getAttribute("href") === location.hash) || links[0]);
})();
