// What the page of sources and that of one source say of a source.
function state(source) {
  if (!source.enabled) {
    return "paused";
  }
  return source.open_until ? "resting" : "enabled";
}

function freshnessName(name) {
  return !name || name === "unknown" ? "not judged yet" : name;
}

function freshness(counts) {
  return Object.entries(counts).flatMap(([name, count]) => [
    pill(name, `${number.format(count)} ${freshnessName(name)}`),
    " ",
  ]);
}

function stretch(window) {
  return window.start_at && window.end_at
    ? `${utc(window.start_at)} to ${utc(window.end_at)}`
    : window.partition_id;
}

function troubles(source) {
  const found = [...source.warnings];
  if (source.fault) {
    found.push(source.fault);
  }
  if (source.open_until) {
    found.push(`${source.failures} failures in a row; asked again at ${utc(source.open_until)}`);
  }
  return found;
}

function figure(row, label, value) {
  const text = value === undefined ? "" : number.format(value);
  cell(row, label, text).classList.add("number");
}

function counted(row, counts) {
  figure(row, "New", counts.written);
  figure(row, "Revised", counts.revised);
  figure(row, "Unchanged", counts.unchanged);
  figure(row, "Missing", counts.missing);
  figure(row, "Rejected", counts.rejected);
}

function texts(row, label, found) {
  cell(row, label, ...found.map((one) => made("small", "why", one))).classList.add("told");
}
