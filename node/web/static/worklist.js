// How many cases are marked; the list is replaced when something has happened, the marks stay (hx-preserve).
"use strict";

const count = () => {
  const place = document.getElementById("marked");
  if (!place) return;
  const marked = document.querySelectorAll("input[name=case]:checked").length;
  place.textContent = marked ? `${marked} marked` : "";
};

document.addEventListener("change", count);
document.addEventListener("htmx:afterSettle", count);
