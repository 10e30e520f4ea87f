// What pages share that ask the API for every figure.
const number = new Intl.NumberFormat("en-GB");

async function asked(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) {
    throw new Error(`${path}: ${answer.status}`);
  }
  return answer.json();
}

function utc(text) {
  return text ? text.slice(0, 16).replace("T", " ") : "";
}

function pill(name, text = name) {
  const found = document.createElement("span");
  found.className = `state ${name}`;
  found.textContent = text;
  return found;
}

function cell(row, label, ...parts) {
  const found = row.insertCell();
  const inner = document.createElement("div");
  found.dataset.label = label;
  inner.append(...parts);
  found.append(inner);
  return found;
}

function made(tag, className, ...parts) {
  const found = document.createElement(tag);
  found.className = className;
  found.append(...parts);
  return found;
}

function linked(path, text) {
  const found = made("a", "", text);
  found.href = path;
  return found;
}

function severity(name) {
  return made("span", `severity ${name}`, name);
}

function fact(name, ...parts) {
  return made("div", "", made("dt", "", name), made("dd", "", ...parts));
}

function shell(method, path, body) {
  const lines = [`curl -s -X ${method} ${window.location.origin}${path}`, '-H "Authorization: Bearer $KEY"'];
  if (body) {
    lines.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(body)}'`);
  }
  return made("pre", "shell", lines.join(" \\\n  "));
}
