// Draws the API that is chosen above with Swagger UI. Its own top bar would be a second bundle, and a larger one.
(() => {
  const choice = document.getElementById("api");
  const names = [...choice.options].map((option) => option.value);
  const asked = new URLSearchParams(location.search).get("api");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let ui = null;

  // Swagger UI is dark where the page says so, and does not look at the system.
  const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);

  const show = () => {
    // From one API to the next the key goes in memory: what the browser stores, every script of this address can read,
    // for as long as nobody clears it.
    const authorized = ui ? ui.authSelectors.authorized().toJS() : {};
    ui = window.SwaggerUIBundle({
      url: choice.selectedOptions[0].dataset.url,
      dom_id: "#swagger-ui",
      deepLinking: true,
      persistAuthorization: false,
      tryItOutEnabled: true,
      validatorUrl: null,
      defaultModelsExpandDepth: 0,
      presets: [window.SwaggerUIBundle.presets.apis],
      plugins: [window.JobtrackPlugin],
      onComplete: () => ui.authActions.authorize(authorized),
    });
  };

  paint();
  dark.addEventListener("change", paint);
  if (names.includes(asked)) choice.value = asked;
  choice.addEventListener("change", () => {
    history.replaceState(null, "", `?api=${encodeURIComponent(choice.value)}`);
    show();
  });
  show();
  // Where an earlier version of this page has left the key. Last, because a browser that stores nothing throws here.
  localStorage.removeItem("authorized");
})();
