/** Plots as SVG that a page has in itself: growth, largest closures, age. Nothing is loaded, and no script is needed. */

import { hierarchy, treemap, treemapSquarify } from 'd3-hierarchy';
import { formatBytes } from '../../lib/format-bytes.js';
import { type Markup, markup } from '../markup.js';

/** A value at a time. */
export interface TimedValue {
  /** As `Date.toISOString` gives it. */
  readonly time: string;
  readonly bytes: number;
}

/** Something of a size. */
export interface NamedSize {
  readonly name: string;
  readonly bytes: number;
}

const WIDTH = 960;
const HEIGHT = 260;
const LEFT = 90;
const BOTTOM = 30;
const TOP = 10;

/** How something has grown, as a line over time; `undefined` for less than two values. */
export function growthPlot(values: readonly TimedValue[], title: string): Markup | undefined {
  const [first, last] = [values[0], values.at(-1)];
  if (!first || !last || first === last) return undefined;
  const [from, to] = [Date.parse(first.time), Date.parse(last.time)];
  const most = Math.max(1, ...values.map(({ bytes }) => bytes));
  const x = (time: string) => round(LEFT + ((Date.parse(time) - from) / Math.max(1, to - from)) * (WIDTH - LEFT - 10));
  const y = (bytes: number) => round(TOP + (1 - bytes / most) * (HEIGHT - TOP - BOTTOM));
  const line = values.map(({ time, bytes }) => `${x(time)},${y(bytes)}`).join(' ');
  const base = y(0);
  return markup`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}: from ${formatBytes(first.bytes)} to ${formatBytes(last.bytes)}">
${scale(most, y)}
<polygon class="area" points="${x(first.time)},${base} ${line} ${x(last.time)},${base}"/>
<polyline class="line" points="${line}"/>
<text x="${LEFT}" y="${HEIGHT - 8}">${first.time.slice(0, 10)}</text>
<text x="${WIDTH - 10}" y="${HEIGHT - 8}" class="end">${last.time.slice(0, 10)}</text>
</svg>`;
}

/** Bars with names below, in their order. */
export function barPlot(values: readonly NamedSize[], title: string): Markup | undefined {
  if (values.length === 0) return undefined;
  const most = Math.max(1, ...values.map(({ bytes }) => bytes));
  const y = (bytes: number) => round(TOP + (1 - bytes / most) * (HEIGHT - TOP - BOTTOM));
  const step = (WIDTH - LEFT - 10) / values.length;
  // Names need room.
  const every = Math.ceil(80 / step);
  const bars = values.map(({ name, bytes }, index) => {
    const x = round(LEFT + index * step);
    const label =
      index % every === 0
        ? markup`<text x="${round(x + step / 2)}" y="${HEIGHT - 8}" class="middle">${name}</text>`
        : undefined;
    return markup`<rect class="bar" x="${x + 1}" y="${y(bytes)}" width="${round(Math.max(1, step - 2))}" height="${round(y(0) - y(bytes))}"><title>${name}: ${formatBytes(bytes)}</title></rect>${label}`;
  });
  return markup`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
${scale(most, y)}
${bars}
</svg>`;
}

/** Rectangles as large as what they stand for. */
export function treemapPlot(values: readonly NamedSize[], title: string): Markup | undefined {
  const sized = values.filter(({ bytes }) => bytes > 0);
  if (sized.length === 0) return undefined;
  const height = 400;
  const root = hierarchy<{ readonly name: string; readonly bytes?: number; readonly children?: readonly NamedSize[] }>(
    { name: '', children: sized },
    ({ children }) => children as NamedSize[] | undefined,
  ).sum(({ bytes = 0 }) => bytes);
  const leaves = treemap<(typeof root)['data']>().tile(treemapSquarify).size([WIDTH, height]).padding(2)(root).leaves();
  const boxes = leaves.map(({ x0, x1, y0, y1, data: { name, bytes = 0 } }) => {
    const [width, tall] = [x1 - x0, y1 - y0];
    // About eight pixels a character.
    const fits = tall > 24 && width > 48;
    const short = name.length * 8 > width - 12 ? `${name.slice(0, Math.max(1, Math.floor((width - 20) / 8)))}…` : name;
    const size =
      tall > 44
        ? markup`<text x="${round(x0 + 6)}" y="${round(y0 + 36)}" class="small">${formatBytes(bytes)}</text>`
        : undefined;
    const label = fits ? markup`<text x="${round(x0 + 6)}" y="${round(y0 + 18)}">${short}</text>${size}` : undefined;
    return markup`<g><title>${name}: ${formatBytes(bytes)}</title><rect class="box" x="${round(x0)}" y="${round(y0)}" width="${round(width)}" height="${round(tall)}"/>${label}</g>`;
  });
  return markup`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}">
${boxes}
</svg>`;
}

/** Lines at none, half and all, with their values. */
function scale(most: number, y: (bytes: number) => number): readonly Markup[] {
  return [0, most / 2, most].map(
    (bytes) =>
      markup`<line class="scale" x1="${LEFT}" x2="${WIDTH - 10}" y1="${y(bytes)}" y2="${y(bytes)}"/><text x="${LEFT - 8}" y="${y(bytes) + 5}" class="end">${formatBytes(Math.round(bytes))}</text>`,
  );
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
