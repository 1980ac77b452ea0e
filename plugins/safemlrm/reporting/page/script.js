"use strict";
(() => {
  const tip = document.getElementById("tip");

  const hide = () => { tip.hidden = true; };

  // The text lies in the page for screen readers; this only shows it beside its cell.
  const show = (cell) => {
    const about = document.getElementById(cell.getAttribute("aria-describedby"));
    tip.textContent = about.textContent;
    tip.hidden = false;
    const at = cell.getBoundingClientRect();
    const below = at.bottom + 8 + tip.offsetHeight < window.innerHeight;
    const left = Math.min(at.left, window.innerWidth - tip.offsetWidth - 16);
    tip.style.left = `${Math.max(16, left)}px`;
    tip.style.top = `${below ? at.bottom + 8 : Math.max(8, at.top - tip.offsetHeight - 8)}px`;
  };

  const cellsOf = (row) => [...row.querySelectorAll("td")].map((td) => td.querySelector("a, .still"));

  // One stop of the Tab key a map; the arrow keys move inside it and skip cells that hold nothing.
  const rove = (table) => {
    const rows = [...table.tBodies[0].rows].map(cellsOf);
    const all = rows.flat().filter(Boolean);
    const enter = (cell) => {
      all.forEach((other) => { other.tabIndex = other === cell ? 0 : -1; });
    };
    const step = (row, column, down, right) => {
      for (let r = row + down, c = column + right; rows[r] && c >= 0 && c < rows[r].length; r += down, c += right) {
        if (rows[r][c]) return rows[r][c];
      }
      return null;
    };
    if (all.length) enter(all[0]);
    all.forEach((cell) => {
      cell.addEventListener("focus", () => { enter(cell); show(cell); });
      cell.addEventListener("blur", hide);
      cell.addEventListener("mouseenter", () => show(cell));
      cell.addEventListener("mouseleave", hide);
    });
    table.addEventListener("keydown", (event) => {
      const row = rows.findIndex((line) => line.includes(document.activeElement));
      if (row < 0) return;
      const column = rows[row].indexOf(document.activeElement);
      const present = rows[row].filter(Boolean);
      const to = {
        ArrowUp: () => step(row, column, -1, 0),
        ArrowDown: () => step(row, column, 1, 0),
        ArrowLeft: () => step(row, column, 0, -1),
        ArrowRight: () => step(row, column, 0, 1),
        Home: () => present[0],
        End: () => present[present.length - 1],
      }[event.key];
      if (!to) return;
      event.preventDefault();
      to()?.focus();
    });
  };

  const open = (target) => {
    for (let node = target; node; node = node.parentElement) {
      if (node.tagName === "DETAILS") node.open = true;
    }
  };

  const arrive = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    open(target);
    const section = target.closest("[data-case]") ?? target;
    section.scrollIntoView({ block: "start" });
    (section.querySelector(":scope > summary") ?? section).focus({ preventScroll: true });
  };

  document.querySelectorAll("[data-grid]").forEach(rove);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  window.addEventListener("scroll", hide, { passive: true });
  window.addEventListener("hashchange", arrive);
  // A link to where one is already changes no hash.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (link && link.hash === location.hash) arrive();
  });
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll(".reasons li details, [data-case].fail, [data-case].missing").forEach(open);
  });
  arrive();
})();
