// The page of jobs: what is selected, and the dialog that changes many.
"use strict";

const rows = document.getElementById("rows");
const selectAll = document.getElementById("select-all");
const boxes = () => [...(rows?.querySelectorAll("input[name=job]") ?? [])];

function showSelected() {
  const all = boxes();
  const count = all.filter((box) => box.checked).length;
  const said = document.getElementById("selected");
  if (!said) return;
  said.textContent = count ? `${count} selected` : "None selected";
  for (const button of document.querySelectorAll("[data-selection]")) button.disabled = !count;
  selectAll.checked = count > 0 && count === all.length;
  selectAll.indeterminate = count > 0 && count < all.length;
}

document.addEventListener("change", (event) => {
  if (event.target === selectAll) for (const box of boxes()) box.checked = selectAll.checked;
  if (event.target === selectAll || event.target.name === "job") showSelected();
});
// A browser that goes back restores what was selected, and what was typed before the page was left, which is not what
// this page shows.
addEventListener("pageshow", () => {
  showSelected();
  const filter = document.getElementById("filter");
  filter.value = filter.defaultValue;
});

// Closing the dialog takes its form away, and with it the next step of a change that is under way.
document.getElementById("change")?.addEventListener("close", () => document.getElementById("change-body").replaceChildren());
