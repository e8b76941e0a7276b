// What a page does: plots in the page's own colours, tables that turn pages, one page of several at a time, and a live
// page that looks for news. Loaded once, at the end of the page; it runs again on what a live page has fetched.
(function () {
  "use strict";
  const coarse = window.matchMedia("(pointer: coarse)").matches;
  const EVERY_MS = 2000;

  // Plots

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    return { ink: read("--ink"), soft: read("--soft"), line: read("--line"), card: read("--card"), sans: read("--sans") };
  }

  function themed(layout) {
    const c = colours();
    const out = Object.assign({}, layout, {
      autosize: true,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: c.sans, size: 13, color: c.ink },
      hoverlabel: { bgcolor: c.card, bordercolor: c.line, font: { family: c.sans, size: 13, color: c.ink } },
      // A finger on a plot must scroll the page.
      dragmode: coarse ? false : "zoom",
    });
    delete out.width;
    for (const key of Object.keys(out)) {
      if (/^[xy]axis\d*$/.test(key)) {
        out[key] = Object.assign({}, out[key], {
          gridcolor: c.line, linecolor: c.line, zerolinecolor: c.line, tickcolor: c.line, fixedrange: coarse,
        });
      }
    }
    return out;
  }

  function draw() {
    for (const box of document.querySelectorAll(".plot")) {
      if (box.closest("[hidden]")) continue; // a hidden box has no size to draw in
      const data = box.parentElement.querySelector('script[type="application/json"]').textContent;
      const figure = JSON.parse(data);
      Plotly.react(box, figure.data, themed(figure.layout), { displayModeBar: false, responsive: true });
    }
  }

  // Tables that turn pages

  function pager(figure, first) {
    const rows = Array.from(figure.querySelectorAll("tbody tr"));
    const size = Number(figure.dataset.page);
    if (rows.length <= size) return;
    const bar = document.createElement("div");
    bar.className = "pager";
    const back = document.createElement("button");
    const on = document.createElement("button");
    const where = document.createElement("span");
    back.type = on.type = "button";
    back.textContent = "Earlier";
    on.textContent = "Later";
    where.setAttribute("aria-live", "polite");
    bar.append(back, where, on);
    figure.append(bar);
    let start = Math.min(first, Math.floor((rows.length - 1) / size) * size);
    function turn(to) {
      start = to;
      rows.forEach((row, index) => { row.hidden = index < start || index >= start + size; });
      where.textContent = start + 1 + "–" + Math.min(start + size, rows.length) + " of " + rows.length;
      back.disabled = start === 0;
      on.disabled = start + size >= rows.length;
      figure.dataset.start = start;
    }
    back.addEventListener("click", () => turn(Math.max(0, start - size)));
    on.addEventListener("click", () => turn(start + size));
    turn(start);
  }

  function pagers(starts) {
    document.querySelectorAll("figure[data-page]").forEach((figure, index) => pager(figure, Number(starts[index] || 0)));
  }

  // One page of several

  const pages = Array.from(document.querySelectorAll("article.page"));

  function show() {
    const wanted = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const page = (wanted && wanted.closest("article.page")) || pages[0];
    for (const each of pages) each.hidden = each !== page;
    const heading = page.querySelector("h1");
    if (heading) document.title = heading.textContent;
    draw();
    if (wanted && wanted !== page) wanted.scrollIntoView();
    else window.scrollTo(0, 0);
  }

  // A live page

  async function look() {
    const status = document.querySelector(".live");
    if (document.hidden) return;
    let answer;
    try {
      answer = await fetch(location.pathname, { cache: "no-cache" });
    } catch (error) {
      status.textContent = "the view has stopped";
      status.classList.add("off");
      return;
    }
    status.classList.remove("off");
    status.textContent = "live";
    if (!answer.ok || answer.headers.get("etag") === document.body.dataset.version) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const starts = Array.from(document.querySelectorAll("figure[data-page]")).map((figure) => figure.dataset.start);
    const content = document.getElementById("content");
    for (const box of content.querySelectorAll(".plot")) Plotly.purge(box);
    content.replaceWith(fresh.getElementById("content"));
    document.title = fresh.title;
    document.body.dataset.version = fresh.body.dataset.version;
    pagers(starts);
    draw();
  }

  pagers([]);
  if (pages.length) {
    window.addEventListener("hashchange", show);
    show();
  } else {
    draw();
  }
  if (document.body.dataset.version) window.setInterval(look, EVERY_MS);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
