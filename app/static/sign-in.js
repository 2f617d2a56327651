// Send the one-time code from the address's fragment by POST, and take it out of the address and the history at once.
"use strict";

function signIn() {
  const code = location.hash.slice(1);
  const form = document.getElementById("code-form");
  if (!code || !form) return;
  history.replaceState(null, "", location.pathname + location.search);
  form.elements.code.value = code;
  document.getElementById("busy").hidden = false;
  form.submit();
}
signIn();
// Where this page is open already, the link changes its fragment and loads nothing.
addEventListener("hashchange", signIn);
