// Shows the OpenAPI document with Swagger UI; keys stay in the page's memory.
window.addEventListener("DOMContentLoaded", () => {
  window.SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", validatorUrl: null });
});
