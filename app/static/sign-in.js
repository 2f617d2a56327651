// Send the one-time code from the address's fragment by POST, and take it out of the address and the history at once.
"use strict";

const code = location.hash.slice(1);
const form = document.getElementById("code-form");
if (code && form) {
  history.replaceState(null, "", location.pathname + location.search);
  form.elements.code.value = code;
  document.getElementById("busy").hidden = false;
  form.submit();
}
