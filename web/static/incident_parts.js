// The parts of the page of an incident: each makes elements of an answer of the API.
const measure = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 6 });
const names = JSON.parse(document.getElementById("incident").dataset.names);

const RULES = {
  outside_bounds: "outside of what was expected",
  unlike_the_past: "unlike anything seen before",
  lasting_change: "a change that lasts",
  repeated_value: "one value over and over",
  missing_run: "values missing in a row",
  missing_share: "more values missing than usual",
  returned: "came back soon",
  kept: "kept the new level",
  stayed: "stayed at the new level",
  bent: "the trend bent",
  spread: "the spread changed",
  two_sided: "went both ways",
};
// What only the search itself can make use of; the API has it.
const UNSAID = ["surprise", "view", "view_reading", "view_distance"];

function who(key) {
  return names[key] ?? key;
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
    found.push(fact("Taken care of by", who(incident.acknowledged_by)));
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
  const [then, now] = [advice.score.toFixed(2), advice.template_score.toFixed(2)];
  const since = then === now ? "" : `, ${now} by now`;
  const about = advice.series ? `${advice.series}, ` : "";
  const place = `${about}${advice.template}, score ${then}${since}: `;
  return made("li", "", advice.text, made("small", "", place, ...came(advice)), more);
}

function recommended(kind, items) {
  const best = items.filter((one) => one.kind === kind).sort((a, b) => a.rank - b.rank);
  const list = made("ol", "advice", ...best.map(recommendation));
  return best.length ? [made("h3", "", `Of the ${kind.replaceAll("_", " ")}`), list] : [];
}

function happened({ kind, body, key_id: key }) {
  const by = key ? ` by ${who(key)}` : "";
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

function measured(said, unit) {
  if (said === null || said === undefined) {
    return "unknown";
  }
  const text = typeof said === "number" ? measure.format(said) : String(said);
  return unit ? `${text} ${unit}` : text;
}

// Return pairs of a name and what is said, in plain words; `unit` is that of the series.
function plain(told, unit) {
  const isValue = told.rule === "outside_bounds" || told.rule === "unlike_the_past";
  const own = isValue ? unit : told.unit;
  const found = [];
  const add = (key, name, of) => {
    if (key in told) {
      found.push([name, measured(told[key], of)]);
    }
  };
  add("value", "Value", unit);
  add("expected", "Expected", unit);
  add("before", "Level before", unit);
  add("after", "Level after", unit);
  if (told.rule) {
    found.push(["Found as", RULES[told.rule] ?? told.rule.replaceAll("_", " ")]);
  }
  if (told.reading !== told.value) {
    add("reading", "Measured", own);
  }
  add("threshold", isValue ? "Bound" : "Limit", own);
  if (told.kind_rule && told.kind_rule !== told.rule) {
    const why = RULES[told.kind_rule] ?? told.kind_rule.replaceAll("_", " ");
    const limit = `limit ${measured(told.kind_threshold)}`;
    found.push(["Named so because it", `${why}: ${measured(told.kind_reading, told.kind_unit)}, ${limit}`]);
  }
  if (told.budget) {
    found.push(["False alarms allowed", `1 in ${number.format(Math.round(1 / told.budget))} points`]);
  }
  add("direction", "Direction");
  return found;
}

const SAID = [
  ...["value", "expected", "before", "after", "rule", "reading", "threshold", "unit", "budget"],
  ...["direction", "kind_rule", "kind_reading", "kind_threshold", "kind_unit", ...UNSAID],
];

function evidence(told, unit) {
  const others = Object.entries(told)
    .filter(([name, said]) => said !== "" && !SAID.includes(name))
    .map(([name, said]) => [name.replaceAll("_", " "), measured(said)]);
  const all = [...plain(told, unit), ...others];
  return made("dl", "facts evidence", ...all.map(([name, said]) => fact(name, said)));
}

function anomaly(one, unit) {
  const kind = made("strong", "", one.kind.replaceAll("_", " "));
  const where = `${one.unique_id}, ${utc(one.start_at)} to ${utc(one.end_at)} UTC`;
  const item = made("li", "", severity(one.severity), " ", kind, " ", one.explanation);
  item.append(made("small", "", where), evidence(one.evidence, unit));
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
