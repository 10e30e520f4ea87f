// Fills the table of sources; every figure is an answer of the API.
const table = document.querySelector("#sources table");
const told = document.getElementById("told");

async function listed() {
  const names = [];
  let cursor = null;
  do {
    const more = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const page = await asked(`/v1/sources?limit=100${more}`);
    names.push(...page.items.map((one) => one.name));
    cursor = page.next_cursor;
  } while (cursor);
  return names;
}

function lastRun(row, run) {
  if (!run) {
    cell(row, "Last run", "not yet");
    return;
  }
  const link = document.createElement(run.job_id ? "a" : "span");
  if (run.job_id) {
    link.href = `/console/jobs/${run.job_id}`;
  }
  link.textContent = utc(run.created_at);
  cell(row, "Last run", link, " ", pill(run.state)).classList.add("pills");
}

function shown(source, run, failed) {
  const body = table.tBodies[0];
  const row = body.insertRow();
  const path = `/console/sources/${encodeURIComponent(source.name)}`;
  const name = made("strong", "", linked(path, source.name));
  const kind = document.createElement("small");
  kind.textContent = source.connector;
  cell(row, "Source", name, kind);
  cell(row, "State", pill(state(source)));
  cell(row, "Series", ...freshness(source.freshness)).classList.add("pills");
  lastRun(row, run);
  const counts = run ? run.counts : {};
  figure(row, "New", counts.written);
  figure(row, "Revised", counts.revised);
  figure(row, "Unchanged", counts.unchanged);
  const held = Object.values(source.quarantined).reduce((sum, count) => sum + count, 0);
  figure(row, "Held back", held);
  cell(row, "Next run", source.next_fire_at ? utc(source.next_fire_at) : "no schedule");
  const failures = failed.map((one) => `${stretch(one)}: ${one.detail || one.reason}`);
  [...troubles(source), ...failures].forEach((text) => {
    const line = body.insertRow();
    line.className = "trouble";
    const only = line.insertCell();
    only.colSpan = row.cells.length;
    only.textContent = text;
  });
}

async function one(name) {
  const base = `/v1/sources/${encodeURIComponent(name)}`;
  const [source, runs] = await Promise.all([asked(base), asked(`${base}/runs?limit=1`)]);
  const failed = source.windows.failed
    ? (await asked(`${base}/windows?state=failed&limit=3`)).items
    : [];
  return [source, runs.items[0], failed];
}

async function fill() {
  const names = await listed();
  if (!names.length) {
    told.textContent = "No sources yet. Create one with POST /v1/sources.";
    return;
  }
  for (const name of names) {
    shown(...(await one(name)));
  }
  told.remove();
  table.hidden = false;
}

fill().catch((error) => {
  told.className = "fault";
  told.textContent = `The sources could not be read. ${error.message}`;
});
