// The API's documentation: Swagger UI over the document of this server.
(() => {
  const place = document.getElementById("swagger");
  window.SwaggerUIBundle({ url: place.dataset.document, domNode: place, deepLinking: true, validatorUrl: null });
})();
