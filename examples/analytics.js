// What the widget tells a page: see "Events for your analytics" in docs/callmeback.md.
for (const name of ["opened", "requested", "calling", "connected", "ended", "failed", "closed"]) {
  addEventListener(`ringback:${name}`, (event) => console.log(name, event.detail));
}
