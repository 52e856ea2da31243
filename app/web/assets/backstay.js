// What pages do beyond forms and links; every page works without it.

const SHORT = { dateStyle: "medium", timeStyle: "short" };
const LONG = { dateStyle: "medium", timeStyle: "medium" };
const ANNOUNCED_SECONDS = [600, 300, 60];

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

function localize(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const style = time.dataset.style === "long" ? LONG : SHORT;
    const text = new Intl.DateTimeFormat(undefined, style).format(new Date(time.dateTime));
    time.textContent = text.replace(/ (?=[AP]M$)/, "\u00a0"); // where it must break, not before this
    time.title = `${time.title} (shown in ${zone})`;
    time.dataset.local = "";
  }
  // The title is in UTC: by keyboard it is shown while the focus is there, and the description of what has it.
  for (const time of root.querySelectorAll("time[title]:not([tabindex])")) {
    const holder = time.closest("a, button, summary");
    if (holder) holder.title = time.title;
    else time.tabIndex = 0;
  }
}

// A field of a moment, in the zone in which all the others are shown.
function takeZone(field) {
  const at = new Date(field.dataset.instant);
  const two = (count) => String(count).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  field.value = `${day}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  field.form.querySelector("[data-zone-field]").value = zone;
  field.form.querySelector("[data-zone]").textContent = zone;
}

function announce(text) {
  document.getElementById("announcer")?.replaceChildren(text);
}

function spanOf(seconds) {
  const minutes = Math.floor(seconds / 60);
  return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

// By the server's clock: the page says what it was when it was made.
function countDown(element) {
  const until = Number(element.dataset.seconds) * 1000 + performance.now();
  const tick = () => {
    if (!element.isConnected) return;
    const left = Math.max(0, Math.round((until - performance.now()) / 1000));
    element.textContent = left ? spanOf(left) : "over";
    if (ANNOUNCED_SECONDS.includes(left)) announce(`${spanOf(left)} left to undo`);
    if (left) setTimeout(tick, 1000);
    else document.querySelectorAll("[data-ends-with-countdown]").forEach((part) => part.remove());
  };
  tick();
}

function copy(button) {
  const text = document.getElementById(button.dataset.copies)?.textContent ?? "";
  navigator.clipboard?.writeText(text).then(() => announce("Copied"));
}

// A stream that was cut is asked for again by the extension; the first request for it, where that failed, by nobody.
function askUntilItStreams(element) {
  let isConnected = false;
  element.addEventListener("htmx:sse:after:connection", () => (isConnected = true));
  // What comes here is no stream but the page of an error.
  element.addEventListener("htmx:after:request", (event) => event.preventDefault());
  element.addEventListener("htmx:finally:request", () => {
    const ask = () => htmx.ajax("GET", element.getAttribute("hx-sse:connect"), { source: element });
    if (!isConnected) setTimeout(ask, 2000);
  });
}

// News that is late must not look like news.
function watchStream(element) {
  const age = element.querySelector("[data-age]");
  let last = performance.now();
  element.addEventListener("htmx:after:swap", () => (last = performance.now()));
  askUntilItStreams(element);
  const tick = () => {
    if (!element.isConnected || element.dataset.over !== undefined) return;
    const seconds = Math.round((performance.now() - last) / 1000);
    const shown = element.querySelector("[data-age]") ?? age;
    if (shown) shown.textContent = seconds > 5 ? `No news for ${spanOf(seconds)}` : "";
    setTimeout(tick, 1000);
  };
  tick();
}

// What follows the # of a link is sent to nobody: the field takes it, and the address forgets it.
function takeFragment(field) {
  if (location.hash.length < 2) return;
  field.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
  document.querySelector("[data-after-fragment]")?.focus();
}

function enliven(root) {
  localize(root);
  root.querySelectorAll("[data-seconds]:not([data-on])").forEach((element) => {
    element.dataset.on = "";
    countDown(element);
  });
  root.querySelectorAll("[data-stream]:not([data-on])").forEach((element) => {
    element.dataset.on = "";
    watchStream(element);
  });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copies]");
  if (button) copy(button);
  for (const open of document.querySelectorAll("details.account[open], details.drawer[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll("details.account[open], details.drawer[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

// A double click sends one form: the second one would only say the same again.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent !== undefined) event.preventDefault();
  form.dataset.sent = "";
  setTimeout(() => delete form.dataset.sent, 3000);
});
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// To tick a table, or to type its name, means that tables are meant.
document.addEventListener("input", (event) => {
  let part = event.target.closest(".choices")?.previousElementSibling;
  while (part?.matches(".choices")) part = part.previousElementSibling;
  const radio = part?.querySelector("input[type=radio]");
  if (radio) radio.checked = true;
});

// The menu has counted a run that is over now.
function countEnd() {
  for (const count of document.querySelectorAll(".count[data-running]")) {
    const left = count.dataset.running - 1;
    count.dataset.running = left;
    if (left > 0) count.firstChild.data = left;
    else count.remove();
  }
}

// At the end of a run whoever does not look hears of it, and the tab says it.
function tellEnd(live) {
  const { words, icon } = live.querySelector("[data-words]")?.dataset ?? {};
  if (!words || !live.dataset.began) return;
  countEnd();
  document.title = document.title.replace(live.dataset.began, () => words);
  if (icon) document.querySelector("link[rel=icon]").href = icon;
  announce(words.replace("(!) ", ""));
}

// A dry run that is over leads on; the server makes the page with the way on. A login that is over as well.
document.addEventListener("done", (event) => {
  event.target.dataset.over = "";
  const isLoggedOut = event.detail?.data === "login";
  if (isLoggedOut || event.target.dataset.thenReload !== undefined) location.reload();
  else tellEnd(event.target);
});

// Of many tables those of which somebody knows a part of the name.
function find(finder) {
  const input = finder.querySelector("input");
  const parts = document.querySelectorAll(`#${finder.dataset.finds} :is(label.form-check, .picks > :not([aria-hidden]))`);
  const look = () => {
    const wanted = input.value.trim().toLowerCase();
    let count = 0;
    for (const part of parts) {
      const names = [...part.querySelectorAll("bdi")].map((name) => name.textContent);
      part.hidden = !names.join(".").toLowerCase().includes(wanted);
      if (part.hidden) continue;
      count += 1;
      const folded = part.closest("details");
      if (wanted && folded) folded.open = true;
    }
    announce(`${count} of ${parts.length}`);
  };
  finder.hidden = false;
  input.addEventListener("input", look);
  // It is no answer to the form around it.
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
}

// Of hundreds of time zones those of which somebody types a part.
function suggestZones(field) {
  const names = Intl.supportedValuesOf("timeZone");
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    const found = wanted ? names.filter((name) => name.toLowerCase().includes(wanted)) : [];
    field.list.replaceChildren(...found.slice(0, 20).map((name) => new Option(name)));
  });
}

// From day to day of a map whose columns are weeks; the map is one stop of the Tab key.
const STEPS = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -7, ArrowRight: 7, Home: -Infinity, End: Infinity };

function walk(map) {
  const days = [...map.querySelectorAll("a")];
  for (const day of days) day.tabIndex = -1;
  days.at(-1).tabIndex = 0;
  map.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const at = days.indexOf(document.activeElement);
    const to = Math.min(days.length - 1, Math.max(0, at + step));
    days[at].tabIndex = -1;
    days[to].tabIndex = 0;
    days[to].focus();
  });
}

document.querySelectorAll("[data-finds]").forEach(find);
document.querySelectorAll("[data-days]").forEach(walk);
document.querySelectorAll("[list=zones]").forEach(suggestZones);
document.querySelectorAll("[data-instant]").forEach(takeZone);
document.querySelectorAll("[data-from-fragment]").forEach(takeFragment);
addEventListener("hashchange", () =>
  document.querySelectorAll("[data-from-fragment]").forEach(takeFragment),
);
document.addEventListener("htmx:after:swap", () => enliven(document));
enliven(document);
