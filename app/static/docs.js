// Draws the API that is chosen above with Swagger UI. Its own top bar would be a second bundle, and a larger one.
(() => {
  const choice = document.getElementById("api");
  const names = [...choice.options].map((option) => option.value);
  const asked = new URLSearchParams(location.search).get("api");

  const show = () => {
    window.SwaggerUIBundle({
      url: choice.selectedOptions[0].dataset.url,
      dom_id: "#swagger-ui",
      deepLinking: true,
      persistAuthorization: true,
      tryItOutEnabled: true,
      validatorUrl: null,
      presets: [window.SwaggerUIBundle.presets.apis],
    });
  };

  if (names.includes(asked)) choice.value = asked;
  choice.addEventListener("change", () => {
    history.replaceState(null, "", `?api=${encodeURIComponent(choice.value)}`);
    show();
  });
  show();
})();
