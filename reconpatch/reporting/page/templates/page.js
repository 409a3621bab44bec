"use strict";
(() => {
  const root = document.documentElement;
  const every = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Light, dark, or as the system has it. A file opened from disk may have nowhere to keep it.
  const schemes = ["as the system", "light", "dark"];
  const kept = { get: () => { try { return localStorage.getItem("scheme"); } catch { return null; } },
                 set: (value) => { try { localStorage.setItem("scheme", value); } catch { /* not kept */ } } };
  const scheme = document.getElementById("scheme");
  const paint = (name) => {
    if (name === schemes[0]) delete root.dataset.scheme; else root.dataset.scheme = name;
    scheme.textContent = `Theme: ${name}`;
  };
  let chosen = Math.max(0, schemes.indexOf(kept.get()));
  paint(schemes[chosen]);
  scheme.addEventListener("click", () => {
    chosen = (chosen + 1) % schemes.length;
    paint(schemes[chosen]);
    kept.set(schemes[chosen]);
  });

  const compact = document.getElementById("compact");
  compact.addEventListener("click", () => {
    compact.setAttribute("aria-pressed", root.classList.toggle("compact"));
  });

  // A contents list that covers a phone's screen starts closed.
  if (!matchMedia("(min-width: 68rem)").matches) document.querySelector(".contents details").open = false;

  // Rows in the order of a column: rising, falling, and as they were. Means stay below.
  const value = (row, at) => {
    const cell = row.cells[at];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    return cell.tagName === "TH" || !cell.closest("table").classList.contains("figures") ? cell.textContent.trim() : null;
  };
  const before = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  };
  for (const table of every("table[data-sortable]")) {
    const body = table.tBodies[0];
    const asTheyWere = [...body.rows];
    for (const button of every(".sort", table)) {
      button.addEventListener("click", () => {
        const head = button.closest("th");
        const order = { ascending: "descending", descending: null }[head.getAttribute("aria-sort")] ?? (head.hasAttribute("aria-sort") ? null : "ascending");
        for (const other of every("th", table)) other.removeAttribute("aria-sort");
        let rows = asTheyWere;
        if (order) {
          head.setAttribute("aria-sort", order);
          const sign = order === "ascending" ? 1 : -1;
          const at = Number(button.dataset.at);
          const compared = (x, y) => {
            const [a, b] = [value(x, at), value(y, at)];
            return a === null || b === null ? before(a, b) : sign * before(a, b);
          };
          const singles = asTheyWere.filter((row) => !row.classList.contains("mean")).sort(compared);
          rows = singles.concat(asTheyWere.filter((row) => row.classList.contains("mean")));
        }
        body.append(...rows);
      });
    }
  }

  // Pictures are decoded as they come into view.
  const load = (picture) => {
    if (!picture.dataset.src) return;
    picture.src = picture.dataset.src;
    delete picture.dataset.src;
  };
  const near = new IntersectionObserver((seen) => {
    for (const entry of seen) {
      if (!entry.isIntersecting) continue;
      load(entry.target);
      near.unobserve(entry.target);
    }
  }, { rootMargin: "300px" });
  for (const picture of every("img.later")) near.observe(picture);

  // A link to a run opens the recipe that it stands in.
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    target.scrollIntoView({ block: target.tagName === "TR" ? "center" : "start" });
    if (target.tagName === "TR") target.focus({ preventScroll: true });
  };
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();

  // Where one is in the contents.
  const links = new Map(every(".contents a").map((link) => [link.hash.slice(1), link]));
  const here = new IntersectionObserver((seen) => {
    for (const entry of seen) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -75% 0px" });
  for (const part of every("section.part")) here.observe(part);

  addEventListener("beforeprint", () => {
    for (const picture of every("img.later")) load(picture);
  });
})();
