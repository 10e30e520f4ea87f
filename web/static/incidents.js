// Fills the table of incidents, of the state that the address names.
const table = document.querySelector("#incidents table");
const told = document.getElementById("told");
const more = document.getElementById("more");
const SHOWN_SERIES = 3;

const state = new URLSearchParams(window.location.search).get("state");
const wanted = { open: "state=open", acknowledged: "state=acknowledged", resolved: "state=resolved", any: "" };
const query = state in wanted ? wanted[state] : "open=true";

function members(series) {
  const names = series.slice(0, SHOWN_SERIES).map((one) => made("small", "", one.unique_id));
  const rest = series.length - SHOWN_SERIES;
  return rest > 0 ? [...names, made("small", "", `and ${number.format(rest)} more`)] : names;
}

function shown(incident) {
  const row = table.tBodies[0].insertRow();
  cell(row, "Incident", linked(`/console/incidents/${incident.id}`, incident.headline));
  cell(row, "State", pill(incident.state));
  cell(row, "Severity", severity(incident.severity));
  cell(row, "Series", ...members(incident.series));
  cell(row, "Since", utc(incident.start_at));
  cell(row, "Last seen", utc(incident.last_seen_at));
  cell(row, "Anomalies", number.format(incident.anomalies)).classList.add("number");
}

async function fill(cursor) {
  const from = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
  const page = await asked(`/v1/incidents?limit=50&${query}${from}`);
  page.items.forEach(shown);
  more.hidden = !page.next_cursor;
  more.onclick = () => fill(page.next_cursor).catch(failed);
  table.hidden = !table.tBodies[0].rows.length;
  told.hidden = !table.hidden;
  told.textContent = "None. A job analysis.watch looks for them.";
}

function failed(error) {
  told.hidden = false;
  told.className = "fault";
  told.textContent = `The incidents could not be read. ${error.message}`;
}

document.querySelectorAll("#incidents .choice a").forEach((link) => {
  if (link.search === (state in wanted ? `?state=${state}` : "")) {
    link.setAttribute("aria-current", "page");
  }
});
fill(null).catch(failed);
