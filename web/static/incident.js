// Fills the page of an incident; every figure is an answer of the API.
const incidentId = document.getElementById("incident").dataset.id;
const told = document.getElementById("told");
const MOST = 100;
const MOST_PICTURES = 12;

function part(name) {
  const found = document.getElementById(name);
  found.hidden = false;
  return found;
}

function rest(section, page, what) {
  if (page.next_cursor) {
    section.append(made("p", "", `The last ${MOST} ${what} are shown.`));
  }
}

function head(incident) {
  document.title = `${incident.headline} · Forebay`;
  const states = [severity(incident.severity), " ", pill(incident.state)];
  document.getElementById("headline").replaceChildren(incident.headline, " ", ...states);
  document.querySelector("#incident .facts").append(...facts(incident));
}

function pictures(incident) {
  const place = document.getElementById("pictures");
  incident.series.slice(0, MOST_PICTURES).forEach((one) => {
    const chart = made("div", "chart", "drawing …");
    chart.dataset.chart = `${incident.links.self}/chart?series=${encodeURIComponent(one.unique_id)}`;
    place.append(made("section", "card", chart));
    draw(chart).catch((error) => { chart.textContent = `no picture: ${error}`; });
  });
  const left = incident.series.slice(MOST_PICTURES).map((one) => one.unique_id);
  if (left.length) {
    place.append(made("section", "card", `Without a picture: ${left.join(", ")}`));
  }
}

function acts(incident) {
  const { acknowledge, comments, resolve } = incident.links;
  const place = part("acts");
  if (incident.state === "open") {
    place.append(shell("POST", acknowledge));
  }
  place.append(shell("POST", comments, { text: "a fuse was replaced" }));
  if (incident.state !== "resolved") {
    place.append(shell("POST", resolve));
  }
}

function advice(page, kinds) {
  part("advice").append(...kinds.flatMap((kind) => recommended(kind, page.items)));
}

function notifications(page) {
  const section = part("notifications");
  const table = section.querySelector("table");
  page.items.forEach((one) => notification(table.tBodies[0].insertRow(), one));
  table.hidden = !page.items.length;
  section.querySelector(".none").hidden = !table.hidden;
  rest(section, page, "messages");
}

function listed(name, page, make, what) {
  const section = part(name);
  section.querySelector("ol, ul").append(...page.items.map(make));
  rest(section, page, what);
}

// Series without a unit, or gone since, have none.
async function unitsOf(found) {
  const keys = [...new Set(found.map((one) => one.unique_id))].slice(0, MOST_PICTURES);
  const pairs = keys.map(async (key) => {
    const series = await asked(`/v1/series/${encodeURIComponent(key)}`).catch(() => ({}));
    return [key, series.unit ?? ""];
  });
  return Object.fromEntries(await Promise.all(pairs));
}

async function fill() {
  const of = `incident=${encodeURIComponent(incidentId)}&limit=${MOST}`;
  const incident = await asked(`/v1/incidents/${incidentId}`);
  const [given, entries, found, sent] = await Promise.all([
    asked(`/v1/recommendations?${of}`),
    asked(`${incident.links.events}?limit=${MOST}`),
    asked(`${incident.links.anomalies}?limit=${MOST}`),
    asked(`/v1/notifications?${of}`),
  ]);
  const units = await unitsOf(found.items);
  head(incident);
  advice(given, incident.kinds);
  listed("history", entries, entry, "entries");
  listed("anomalies", found, (one) => anomaly(one, units[one.unique_id]), "anomalies");
  notifications(sent);
  acts(incident);
  told.remove();
  pictures(incident);
}

fill().catch((error) => {
  told.className = "fault";
  told.textContent = `The incident could not be read. ${error.message}`;
});
