// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

(() => {
  "use strict";
  const form = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const groups = [...document.querySelectorAll(".group")];
  const packed = document.getElementById("packed");
  const field = (name) => form.elements[name];
  const filters = ["status", "suite", "from", "to", "text"];
  let texts;

  // What had no room in the page lies beside it, compressed; it is unpacked once.
  const unpacked = () => texts ??= (async () => {
    if (!packed) return {};
    const bytes = Uint8Array.from(atob(packed.textContent.trim().replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  })();

  const fill = async (group) => {
    if (group.dataset.packed === "0") return;
    const text = (await unpacked())[group.id];
    if (group.dataset.packed === "0") return; // another call was first
    group.dataset.packed = "0";
    const note = group.querySelector(".packed");
    note.insertAdjacentHTML("beforebegin", text); // written by the same template as the rest
    note.remove();
  };

  const matches = (check, want) => {
    const at = check.dataset;
    return (!want.status || at.status === want.status) &&
      (!want.suite || at.suite === want.suite) &&
      (!want.from || !at.from || at.from === want.from) &&
      (!want.to || !at.to || at.to === want.to) &&
      (!want.text || check.textContent.toLowerCase().includes(want.text));
  };

  // In a large matrix a cell has one mark, that of the suite that is looked at.
  const letters = { p: ["pass", "✔"], f: ["fail", "✘"], i: ["inconclusive", "?"], w: ["warn", "!"], s: ["skip", "–"] };
  const suites = [...field("suite").options].slice(1).map((o) => o.value);
  const cells = [...document.querySelectorAll("#matrix td")].filter((td) => td.querySelector("a")).map((td) => ({ td, link: td.querySelector("a"), first: td.className }));
  const words = Object.fromEntries([...field("status").options].map((o) => [o.value, o.textContent]));
  const mark = (want) => {
    for (const { td, link, first } of cells) {
      const codes = td.dataset.codes;
      if (codes) {
        const [name, sign] = want.suite ? letters[codes[suites.indexOf(want.suite)]] : Object.values(letters).find((l) => l[0] === first);
        td.className = name;
        link.firstElementChild.textContent = sign;
        link.children[1].textContent = `${link.dataset.from} to ${link.dataset.to}: ${words[name] ?? name}`;
        if (link.children[2]) link.children[2].hidden = Boolean(want.suite);
      }
      td.classList.toggle("dim", Boolean(want.from && want.from !== link.dataset.from || want.to && want.to !== link.dataset.to));
    }
  };

  let latest = 0;
  let before; // which groups were open when the filter was empty
  const apply = async () => {
    const turn = ++latest;
    const want = Object.fromEntries(filters.map((name) => [name, field(name).value.trim()]));
    want.text = want.text.toLowerCase();
    const active = filters.some((name) => want[name]);
    mark(want);
    if (active) {
      shown.textContent = "looking …";
      await Promise.all(groups.map(fill));
      if (turn !== latest) return;
      before ??= groups.map((g) => g.open);
    }
    let n = 0, all = 0;
    groups.forEach((group, i) => {
      let here = 0;
      for (const check of group.querySelectorAll(".check")) {
        const good = !active || matches(check, want);
        check.hidden = !good;
        here += good;
        all++;
      }
      n += here;
      group.hidden = here === 0 && active;
      if (active) group.open = here > 0;
      else if (before) group.open = before[i];
    });
    if (!active) before = undefined;
    shown.textContent = active ? `${n} of ${all} checks` : shown.dataset.all;
  };

  shown.dataset.all = shown.textContent;
  form.hidden = false;
  form.addEventListener("submit", (e) => e.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  let pause;
  form.addEventListener("input", (e) => {
    clearTimeout(pause);
    pause = setTimeout(apply, e.target.name === "text" ? 150 : 0);
  });
  for (const group of groups) group.addEventListener("toggle", () => group.open && fill(group));
  groups.filter((g) => g.open).forEach(fill);

  // A cell of the matrix shows its checks.
  document.getElementById("matrix").addEventListener("click", (e) => {
    const link = e.target.closest("a");
    if (!link) return;
    for (const name of ["status", "text"]) field(name).value = "";
    for (const name of ["from", "to"]) field(name).value = link.dataset[name];
    if (link.dataset.suite) field("suite").value = link.dataset.suite;
    apply();
    document.getElementById("checks").focus({ preventScroll: true });
  });
})();
