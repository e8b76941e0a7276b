// Draws each figure in its box, in the page's own colours, and again when the reader switches between light and dark.
(function () {
  "use strict";
  const coarse = window.matchMedia("(pointer: coarse)").matches;

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

  const figures = Array.from(document.querySelectorAll(".plot")).map((box) => ({
    box: box,
    figure: JSON.parse(box.parentElement.querySelector('script[type="application/json"]').textContent),
  }));

  function draw() {
    for (const { box, figure } of figures) {
      Plotly.react(box, figure.data, themed(figure.layout), { displayModeBar: false, responsive: true });
    }
  }

  draw();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
