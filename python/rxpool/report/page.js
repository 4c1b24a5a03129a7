// Draws the figures of the data block. Long series are thinned to what the screen can show: of every stretch the
// smallest and the largest sample, chosen anew when the view changes.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const touch = matchMedia("(pointer: coarse)").matches;
  const stretches = 600; // over the visible range; as many again on either side, so that a pan has something to show

  const doubles = (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return new Float64Array(bytes.buffer);
  };

  const lower = (x, value) => {
    let low = 0, high = x.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (x[middle] < value) low = middle + 1; else high = middle;
    }
    return low;
  };

  // Indices to draw of y over [from, to) in so many stretches.
  const chosen = (y, from, to, parts) => {
    const indices = [];
    if (to - from <= 2 * parts) {
      for (let i = from; i < to; ++i) indices.push(i);
      return indices;
    }
    for (let part = 0; part < parts; ++part) {
      const begin = from + Math.floor((to - from) * part / parts);
      const end = from + Math.floor((to - from) * (part + 1) / parts);
      let least = begin, most = begin;
      for (let i = begin + 1; i < end; ++i) {
        if (y[i] < y[least]) least = i;
        if (y[i] > y[most]) most = i;
      }
      indices.push(Math.min(least, most));
      if (least !== most) indices.push(Math.max(least, most));
    }
    return indices;
  };

  const thinned = (series, guide, range) => {
    const x = series.x;
    let from = 0, to = x.length, parts = 3 * stretches;
    if (range) {
      const width = range[1] - range[0];
      from = Math.max(0, lower(x, range[0] - width) - 1);
      to = Math.min(x.length, lower(x, range[1] + width) + 1);
    } else {
      parts = stretches;
    }
    const indices = chosen(guide, from, to, parts);
    return { x: indices.map((i) => x[i]), y: indices.map((i) => series.y[i]) };
  };

  // A shaded span is a rectangle of its own up to so many; more of them would be drawn anew at every step of a pan, and
  // become one filled line per name. In it, spans that lie closer together than the screen can show are one.
  const rectangles = 24;
  const by_name = (shapes) => {
    const named = new Map();
    for (const shape of shapes) {
      if (!named.has(shape.name)) named.set(shape.name, []);
      named.get(shape.name).push(shape);
    }
    return [...named.values()];
  };

  const outlined = (spans, range) => {
    let from = spans[0].x0, to = spans[spans.length - 1].x1;
    if (range) [from, to] = [2 * range[0] - range[1], 2 * range[1] - range[0]];
    const gap = (to - from) / (3 * stretches);
    const joined = [];
    for (const { x0, x1 } of spans) {
      if (x1 < from || x0 > to) continue;
      const last = joined[joined.length - 1];
      if (last && x0 - last[1] < gap) last[1] = x1; else joined.push([x0, x1]);
    }
    return {
      x: joined.flatMap(([begin, end]) => [begin, begin, end, end, null]),
      y: joined.flatMap(() => [0, 1, 1, 0, null]),
    };
  };

  const band = (spans) => ({
    ...outlined(spans, null), type: "scatter", mode: "lines", fill: "toself", line: { width: 0 }, hoverinfo: "skip",
    yaxis: "y2", name: spans[0].name, fillcolor: spans[0].fillcolor, opacity: spans[0].opacity,
  });

  const draw = (figure) => {
    const div = document.getElementById(figure.id);
    const long = figure.traces.map((trace) => trace.long_x && { x: doubles(trace.long_x), y: doubles(trace.long_y) });
    const sum = figure.thin === "together" && long[0].y.map((_, i) => long.reduce((all, s) => all + s.y[i], 0));
    const guide = (s) => sum || s.y;
    const traces = figure.traces.map((trace, i) => {
      const { long_x, long_y, ...rest } = trace;
      return long[i] ? { ...rest, ...thinned(long[i], guide(long[i]), null) } : rest;
    });
    const layout = {
      height: 340, margin: { l: 56, r: 12, t: 24, b: 48 }, font: { size: 13 }, hovermode: "closest",
      dragmode: touch || !figure.thin ? false : "pan", showlegend: figure.traces.length > 1,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal" },
      ...figure.layout,
    };
    const shapes = figure.shapes || [];
    const bands = shapes.length > rectangles ? by_name(shapes) : [];
    if (bands.length > 0) {
      traces.push(...bands.map(band));
      layout.yaxis2 = { overlaying: "y", range: [0, 1], fixedrange: true, visible: false };
      layout.showlegend = true;
    } else {
      layout.shapes = shapes;
    }
    if (div.clientWidth < 500) {
      layout.xaxis.title.text = layout.xaxis.title.text.replace(" (", "<br>(");
      layout.margin.b += 16;
      layout.height += 16;
    }
    div.style.height = `${layout.height}px`;
    Plotly.newPlot(div, traces, layout, {
      responsive: true, displaylogo: false, displayModeBar: touch || !figure.thin ? false : "hover",
      modeBarButtons: [["pan2d", "zoom2d", "resetScale2d", "toImage"]],
    });
    if (!figure.thin) return;
    div.on("plotly_relayout", (change) => {
      if (!Object.keys(change).some((key) => key.startsWith("xaxis"))) return;
      const range = div.layout.xaxis.autorange ? null : div.layout.xaxis.range;
      const parts = long.map((s) => thinned(s, guide(s), range));
      parts.push(...bands.map((spans) => outlined(spans, range)));
      Plotly.restyle(div, { x: parts.map((p) => p.x), y: parts.map((p) => p.y) });
    });
  };
  data.figures.forEach(draw);
  document.documentElement.dataset.drawn = "yes";
})();
