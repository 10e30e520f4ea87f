// Draws every element that names a chart: the API serves the Vega-Lite specification.
async function draw(element) {
  const answer = await fetch(element.dataset.chart);
  if (!answer.ok) {
    element.textContent = (await answer.json()).detail;
    return;
  }
  element.textContent = "";
  await window.vegaEmbed(element, await answer.json(), { actions: false, renderer: "svg" });
  element.dataset.drawn = "yes";
}

document.querySelectorAll("[data-chart]").forEach((element) => {
  draw(element).catch((error) => { element.textContent = `no picture: ${error}`; });
});
