// What the pages need beyond htmx: times in the reader's zone, the state of the live connection, keys, copying.
"use strict";

const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  for (const [size, unit, smaller, smallerUnit] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (whole >= size) {
      const rest = Math.floor((whole % size) / smaller);
      return `${Math.floor(whole / size)} ${unit}` + (rest ? ` ${rest} ${smallerUnit}` : "");
    }
  }
  return `${whole} s`;
}

function showTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    const seconds = (Date.now() - moment.getTime()) / 1000;
    const form = element.dataset.form;
    const text = form === "time" ? clock.format(moment)
      : form === "date" ? zone.format(moment)
      : form === "span" ? duration(seconds)
      : form === "until" ? duration(-seconds)
      : seconds >= 0 ? `${duration(seconds)} ago` : `in ${duration(-seconds)}`;
    if (element.textContent !== text) element.textContent = text;
  }
}
showTimes(document);
setInterval(() => { if (!document.hidden) showTimes(document); }, 1000);
document.addEventListener("htmx:after:swap", () => showTimes(document));

// The live connection: always said, because a page that stands still looks like a job that does.
const live = document.getElementById("live");
const banner = document.getElementById("banner");
let lastWord = new Date();

function setLive(state) {
  if (!live) return;
  const text = { live: "live", lost: "reconnecting", stale: `stale since ${clock.format(lastWord)}`, off: "", ended: "ended", held: "standing still under the pointer" }[state];
  live.dataset.state = state;
  if (live.textContent !== text) live.textContent = text;
  document.body.dataset.live = state;
}
const heard = () => { lastWord = new Date(); setLive("live"); hideBanner(); };
document.addEventListener("htmx:sse:after:connection", heard);
document.addEventListener("htmx:sse:after:message", heard);
const lost = () => setLive(Date.now() - lastWord > 15000 ? "stale" : "lost");
document.addEventListener("htmx:sse:error", lost);
// What is asked for every few seconds is live as well, and stands still under the pointer.
document.addEventListener("every", (event) => {
  if (event.target.querySelector?.(".hands li:hover, tbody tr:hover")) {
    event.stopImmediatePropagation();
    setLive("held");
  }
}, true);
document.addEventListener("htmx:after:request", (event) => {
  const { sourceElement, response } = event.detail.ctx;
  if (!sourceElement?.closest("[data-poll]")) return;
  if (response?.status < 300) heard();
  else lost();
});
document.addEventListener("htmx:error", () => { if (document.querySelector("[data-poll]")) lost(); });
if (document.querySelector("[data-poll]")) heard();
document.addEventListener("htmx:sse:close", () => setLive(document.querySelector("[data-ended]") ? "ended" : "off"));

// When a job has ended, all that stands below its head is asked for anew, unless somebody reads there: then it is offered.
let isTouched = false;
document.addEventListener("pointerdown", (event) => { isTouched ||= Boolean(event.target.closest("#sections")); });
document.addEventListener("htmx:sse:close", () => {
  const sections = document.getElementById("sections");
  if (!sections || !document.querySelector("[data-ended]")) return;
  if (isTouched || scrollY > 0 || sections.matches(":hover, :focus-within")) return;
  htmx.ajax("GET", `${location.pathname}/sections${location.search}`, { target: "#sections", swap: "outerHTML" });
});

// Pages without a stream ask again every few seconds; that is their connection.
const isPoll = (event) => event.detail?.ctx?.sourceElement?.matches?.("[data-poll]");
document.addEventListener("htmx:after:request", (event) => {
  if (isPoll(event) && event.detail.ctx.response?.status < 400) heard();
});
for (const name of ["htmx:error", "htmx:response:error"]) {
  document.addEventListener(name, (event) => {
    if (isPoll(event)) setLive(Date.now() - lastWord > 15000 ? "stale" : "lost");
  });
}
if (document.querySelector("[data-poll]")) setLive("live");

function showBanner(text) {
  banner.textContent = text;
  banner.hidden = false;
  document.body.classList.add("away");
}
function hideBanner() {
  banner.hidden = true;
  document.body.classList.remove("away");
}
document.addEventListener("htmx:error", () => showBanner("The service does not answer. What you see is the last state."));
document.addEventListener("htmx:response:error", (event) => {
  if (event.detail?.ctx?.response?.status >= 500) showBanner("The service cannot answer just now. What you see is the last state.");
});
document.addEventListener("htmx:after:request", (event) => {
  if (event.detail?.ctx?.response?.status < 500) hideBanner();
});

// Copying: the text is in the page already.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source ? source.textContent.trim() : button.dataset.text);
    button.dataset.done = "copied";
  } catch {
    button.dataset.done = "select the text and copy it";
  }
  setTimeout(() => delete button.dataset.done, 2000);
});

// What is asked for every few seconds is not asked for while nobody looks.
document.addEventListener("every", (event) => { if (document.hidden) event.stopImmediatePropagation(); }, true);

// Dialogs: a button opens the one that it names. The answer to a change closes it where it says so, unless the form has
// to be corrected.
document.addEventListener("htmx:after:request", (event) => {
  const { sourceElement, response, request } = event.detail.ctx;
  if (request.method === "POST" && response?.status !== 422) sourceElement.closest("dialog[data-closes]")?.close();
});
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
  if (event.target.closest("[data-close]")) event.target.closest("dialog")?.close();
});

// A dialog whose form is asked for shows no other one in the meantime: it would be about another thing.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog][hx-get]");
  document.getElementById(opener?.dataset.dialog)?.querySelector("[data-loads]")?.replaceChildren("…");
}, true);

// A time is chosen in the reader's zone and sent in UTC.
document.addEventListener("htmx:config:request", (event) => {
  const { form, body } = event.detail.ctx.request;
  for (const input of form?.querySelectorAll("input[type=datetime-local]") ?? []) {
    if (input.value) body.set(input.name, new Date(input.value).toISOString());
  }
});
document.addEventListener("htmx:after:swap", () => {
  for (const input of document.querySelectorAll("input[data-utc]")) {
    const moment = new Date(input.dataset.utc);
    delete input.dataset.utc;
    if (Number.isNaN(moment.getTime())) continue;
    input.value = new Date(moment - moment.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
  }
});

// Keys. None while something is typed.
let row = -1;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  if (event.key === "?") {
    document.getElementById("keys").showModal();
  } else if (event.key === "/") {
    const filter = document.querySelector("[data-filter]");
    if (!filter) return;
    event.preventDefault();
    filter.focus();
    filter.setSelectionRange?.(filter.value.length, filter.value.length);
  } else if (event.key === "j" || event.key === "k") {
    const links = [...document.querySelectorAll("[data-row]")];
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    row = Math.min(links.length - 1, Math.max(0, (at >= 0 ? at : row) + (event.key === "j" ? 1 : -1)));
    links[row].focus();
  }
});
