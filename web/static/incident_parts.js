// The parts of the page of an incident: each makes elements of an answer of the API.
const measure = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 6 });

function fact(name, ...parts) {
  return made("div", "", made("dt", "", name), made("dd", "", ...parts));
}

function facts(incident) {
  const found = [
    fact("Since (UTC)", utc(incident.start_at)),
    fact("Last seen (UTC)", utc(incident.last_seen_at)),
    fact("Anomalies", number.format(incident.anomalies)),
    fact("Opened (UTC)", utc(incident.opened_at)),
  ];
  if (incident.tags.length) {
    found.push(fact("Tags", incident.tags.join(", ")));
  }
  if (incident.acknowledged_by) {
    found.push(fact("Taken care of by", incident.acknowledged_by));
  }
  if (incident.closed_at) {
    found.push(fact("Resolved (UTC)", `${utc(incident.closed_at)}, ${incident.reason}`));
  }
  if (incident.merged_into) {
    const into = incident.merged_into;
    found.push(fact("Goes on as", linked(`/console/incidents/${into}`, into)));
  }
  return found;
}

function shell(method, path, body) {
  const lines = [`curl -s -X ${method} ${window.location.origin}${path}`, '-H "Authorization: Bearer $KEY"'];
  if (body) {
    lines.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(body)}'`);
  }
  return made("pre", "shell", lines.join(" \\\n  "));
}

function came(advice) {
  if (!advice.applied_at) {
    return ["not applied yet"];
  }
  const parts = [`applied ${utc(advice.applied_at)}`];
  if (advice.outcome) {
    parts.push(", ", pill(advice.outcome, advice.outcome.replaceAll("_", " ")));
  }
  return advice.note ? [...parts, ` ${advice.note}`] : parts;
}

function recommendation(advice) {
  const { apply, outcome } = advice.links;
  const next = advice.applied_at
    ? ["Say what came of it", shell("POST", outcome, { outcome: "helped", note: "" })]
    : ["Say that it is followed", shell("POST", apply)];
  const [summary, command] = next;
  const more = made("details", "", made("summary", "", summary), command);
  const place = `${advice.template}, score ${advice.score.toFixed(2)}: `;
  return made("li", "", advice.text, made("small", "", place, ...came(advice)), more);
}

function recommended(kind, items) {
  const best = items.filter((one) => one.kind === kind).sort((a, b) => a.rank - b.rank);
  const list = made("ol", "advice", ...best.map(recommendation));
  return best.length ? [made("h3", "", `Of the ${kind.replaceAll("_", " ")}`), list] : [];
}

function happened({ kind, body, key_id: who }) {
  const by = who ? ` by ${who}` : "";
  const found = body.anomalies ? body.anomalies.length : 0;
  const counted = `${number.format(found)} ${found === 1 ? "anomaly" : "anomalies"}`;
  switch (kind) {
    case "opened": return [`opened with ${counted}`];
    case "joined": return [`${counted} joined`];
    case "worse": return ["got worse: ", severity(body.severity)];
    case "reopened": return ["opened again"];
    case "merged": return [`took in ${body.incidents.join(", ")}`];
    case "resolved": return [`resolved${by}${body.reason ? `: ${body.reason}` : ""}`];
    case "comment": return [made("q", "", body.text), by];
    default: return [`${kind}${by}`];
  }
}

function entry(one) {
  return made("li", "", made("time", "", utc(one.at)), made("div", "", ...happened(one)));
}

function evidence(told) {
  const list = made("dl", "facts evidence");
  const known = Object.entries(told).filter(([, said]) => said !== "");
  known.forEach(([name, said]) => {
    const text = typeof said === "number" ? measure.format(said) : String(said ?? "unknown");
    list.append(fact(name.replaceAll("_", " "), text));
  });
  return list;
}

function anomaly(one) {
  const kind = made("strong", "", one.kind.replaceAll("_", " "));
  const where = `${one.unique_id}, ${utc(one.start_at)} to ${utc(one.end_at)} UTC`;
  const item = made("li", "", severity(one.severity), " ", kind, " ", one.explanation);
  item.append(made("small", "", where), evidence(one.evidence));
  return item;
}

function notification(row, one) {
  cell(row, "Rule", one.rule);
  cell(row, "Channel", one.channel ?? "none");
  cell(row, "Of what", one.occasion);
  cell(row, "State", pill(one.state ?? "held", one.state ?? "not sent"), ...reason(one));
  cell(row, "Attempts", one.attempts === null ? "" : number.format(one.attempts)).classList.add("number");
  cell(row, "At", utc(one.created_at));
}

function reason(one) {
  if (one.state === "delivered" || !one.last_error) {
    return [];
  }
  return [made("small", "why", one.last_error)];
}
