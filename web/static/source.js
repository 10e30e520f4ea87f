// Fills the page of a source; every figure is an answer of the API.
const sourceName = document.getElementById("source").dataset.name;
const base = `/v1/sources/${encodeURIComponent(sourceName)}`;
const told = document.getElementById("told");
const asking = new URLSearchParams(window.location.search);
const SHOWN_NOTES = 3;

function planned(source) {
  const { schedule } = source;
  return schedule ? `${schedule.cron}, ${schedule.timezone}` : "none";
}

function about(source) {
  const found = [
    fact("Connector", source.connector),
    fact("Credential", source.credential ?? "none"),
    fact("Schedule", planned(source)),
    fact("Next run (UTC)", source.next_fire_at ? utc(source.next_fire_at) : "none planned"),
    fact("Series", ...freshness(source.freshness)),
  ];
  if (source.since) {
    found.push(fact("Read since (UTC)", utc(source.since)));
  }
  if (source.failures) {
    found.push(fact("Failures in a row", number.format(source.failures)));
  }
  return found;
}

function head(source) {
  document.getElementById("headline").append(" ", pill(state(source)));
  document.querySelector("#source .facts").append(...about(source));
  const list = document.querySelector("#source .troubles");
  list.append(...troubles(source).map((text) => made("li", "", text)));
  list.hidden = !list.children.length;
}

function seriesRow(row, one) {
  const series = [made("strong", "", linked(one.links.series, one.key))];
  if (one.local_key !== one.key) {
    series.push(made("small", "", `at the source: ${one.local_key}`));
  }
  cell(row, "Series", ...series);
  const since = one.freshness_since ? [made("small", "", `since ${utc(one.freshness_since)}`)] : [];
  cell(row, "Freshness", pill(one.freshness ?? "unknown", freshnessName(one.freshness)), ...since);
  cell(row, "Unit", one.unit ?? "");
  cell(row, "Latest value", utc(one.watermark));
  cell(row, "Loaded", utc(one.loaded_at));
}

function noted(detail) {
  const listed = (name) => (Array.isArray(detail?.[name]) ? detail[name] : []);
  const all = [
    ...listed("failed").map((one) => `${one.partition}: ${one.detail || one.reason}`),
    ...listed("notes").map((one) => one.detail ?? one.code),
  ];
  const rest = all.length - SHOWN_NOTES;
  return rest > 0 ? [...all.slice(0, SHOWN_NOTES), `and ${number.format(rest)} more`] : all;
}

function runRow(row, run) {
  const at = utc(run.created_at);
  cell(row, "At", run.job_id ? linked(`/console/jobs/${run.job_id}`, at) : at);
  cell(row, "State", pill(run.state));
  counted(row, run.counts);
  texts(row, "Detail", noted(run.detail));
}

function windowRow(row, one) {
  cell(row, "Window", stretch(one)).classList.add("pills");
  cell(row, "State", pill(one.state, one.state.replaceAll("_", " ")));
  counted(row, one.counts);
  const at = utc(one.finished_at);
  cell(row, "Read", one.job_id ? linked(`/console/jobs/${one.job_id}`, at) : at);
  texts(row, "Detail", one.detail || one.reason ? [one.detail || one.reason] : []);
}

function heldRow(row, one) {
  cell(row, "Row", number.format(one.row_no)).classList.add("number");
  cell(row, "Why", made("code", "", one.code), made("small", "why", one.detail)).classList.add("told");
  cell(row, "Text", made("code", "", one.row ?? "")).classList.add("told");
  cell(row, "Series and time", one.series_key ?? "", made("small", "", utc(one.ts)));
  const by = one.resolved_by ? [made("small", "", `by ${one.resolved_by}`)] : [];
  cell(row, "State", pill(one.state), ...by);
  const often = one.seen > 1 ? [made("small", "", `in ${number.format(one.seen)} runs`)] : [];
  cell(row, "Last seen", utc(one.last_seen), ...often);
}

// Fill the table of a section, page by page.
async function list(id, path, show) {
  const section = document.getElementById(id);
  const table = section.querySelector("table");
  const more = section.querySelector(".more");
  const page = async (cursor) => {
    const from = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const found = await asked(`${base}/${path}${from}`);
    found.items.forEach((one) => show(table.tBodies[0].insertRow(), one));
    table.hidden = !table.tBodies[0].rows.length;
    section.querySelector(".none").hidden = !table.hidden;
    more.hidden = !found.next_cursor;
    more.onclick = () => page(found.next_cursor).catch(failed);
  };
  await page(null);
}

// Offer the states of a section as links that ask for one of them.
function choice(id, key, offers, chosen) {
  const links = offers.map(([value, text]) => {
    const others = new URLSearchParams(asking);
    others.set(key, value);
    const link = linked(`?${others}#${id}`, text);
    if (value === chosen) {
      link.setAttribute("aria-current", "page");
    }
    return link;
  });
  document.querySelector(`#${id} .choice`).append(...links);
}

function windows(source) {
  const counts = Object.entries(source.windows);
  const chosen = asking.get("windows") ?? "any";
  const all = counts.reduce((sum, [, count]) => sum + count, 0);
  const offers = counts.map(([name, count]) => [name, `${name.replaceAll("_", " ")} ${number.format(count)}`]);
  choice("windows", "windows", [["any", `all ${number.format(all)}`], ...offers], chosen);
  const wanted = chosen === "any" ? "" : `&state=${encodeURIComponent(chosen)}`;
  return list("windows", `windows?limit=20${wanted}`, windowRow);
}

function quarantine(source) {
  const codes = Object.entries(source.quarantined);
  const shown = codes.flatMap(([code, count]) => [pill("held", `${number.format(count)} ${code}`), " "]);
  document.getElementById("codes").append(...shown);
  const chosen = asking.get("rows") ?? "held";
  if (chosen === "held") {
    document.querySelector("#quarantine .none").textContent = "No row is held.";
  }
  const states = ["held", "replayed", "superseded", "discarded", "any"];
  choice("quarantine", "rows", states.map((name) => [name, name === "any" ? "all" : name]), chosen);
  const wanted = chosen === "any" ? "" : `&state=${encodeURIComponent(chosen)}`;
  return list("quarantine", `quarantine?limit=20${wanted}`, heldRow);
}

function acts(source) {
  const { run, pause, enable } = source.links;
  const place = document.getElementById("acts");
  const found = [shell("POST", run), shell("POST", source.enabled ? pause : enable)];
  if (Object.keys(source.quarantined).length) {
    found.push(shell("POST", `${source.links.quarantine}/replay`));
  }
  place.append(...found);
  place.hidden = false;
}

async function fill() {
  const source = await asked(base);
  head(source);
  await Promise.all([
    list("series", "series?limit=20", seriesRow),
    list("runs", "runs?limit=10", runRow),
    windows(source),
    quarantine(source),
  ]);
  acts(source);
  told.remove();
}

function failed(error) {
  told.className = "fault";
  told.textContent = `The source could not be read. ${error.message}`;
  document.getElementById("source").append(told);
}

fill().catch(failed);
