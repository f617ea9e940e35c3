"use strict";
// Shows of the inventory what has the typed words in it; without it everything is shown.
const box = document.getElementById("filter");
const count = document.getElementById("filter-count");
const lists = [...document.querySelectorAll("details[data-list]")].map((list) => ({
  list,
  wasOpen: list.open,
  entries: [...list.querySelectorAll("[data-entry]")],
}));

function filter() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const { list, wasOpen, entries } of lists) {
    let found = 0;
    for (const entry of entries) {
      const text = entry.textContent.toLowerCase();
      entry.hidden = !words.every((word) => text.includes(word));
      found += entry.hidden ? 0 : 1;
    }
    list.hidden = found === 0 && words.length > 0;
    list.open = words.length > 0 ? found > 0 : wasOpen;
    shown += found;
  }
  count.textContent = words.length > 0 ? `${shown.toLocaleString("en")} found` : "";
}

if (box) {
  box.closest("[data-filter]").hidden = false;
  box.addEventListener("input", filter);
}
