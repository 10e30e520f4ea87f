// Follows a job by server-sent events; the browser resumes with Last-Event-ID itself.
const card = document.getElementById("job");
const source = new EventSource(card.dataset.events);
const finals = ["succeeded", "failed", "cancelled"];

const number = new Intl.NumberFormat("en-GB");
const KIB = 1024;

function far({ done, total, unit }) {
  if (unit !== "bytes") {
    return `${number.format(done)} of ${number.format(total)} ${unit}`;
  }
  return `${number.format(Math.round(done / KIB))} of ${number.format(Math.round(total / KIB))} KiB`;
}

function show(event) {
  const body = JSON.parse(event.data);
  if (!card.dataset.ended) {
    const state = document.getElementById("state");
    state.textContent = body.state;
    state.className = `state ${body.state}`;
  }
  const bar = document.getElementById("progress");
  if (body.progress && bar) {
    bar.max = body.progress.total;
    bar.value = body.progress.done;
    document.getElementById("message").textContent =
      `${far(body.progress)}: ${body.progress.message}`;
  }
  const line = document.createElement("li");
  line.textContent = `${body.at} ${body.kind}${body.reason ? ` (${body.reason})` : ""}`;
  document.getElementById("events").append(line);
  if (finals.includes(body.kind)) {
    source.close();
    if (!card.dataset.ended) {
      window.location.reload();
    }
  }
}

["queued", "running", "progress", "retrying", "cancel_requested", ...finals].forEach(
  (kind) => source.addEventListener(kind, show),
);
