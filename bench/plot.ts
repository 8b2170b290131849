/** The ratios as a picture. */

import type { JobResult } from './rounds.js';

const [ROW, LEFT, SCALE, MOST] = [26, 200, 300, 1.6];

/** A bar for each job: carport's time by its peer's, with the spread of the rounds and the bar that it is to stay below. */
export function renderPlot(results: readonly JobResult[]): string {
  const height = results.length * ROW + 40;
  const rows = results.map(({ job, time }, index) => {
    const y = 10 + index * ROW;
    const middle = y + 9;
    return [
      `<text x="${LEFT - 8}" y="${y + 13}" text-anchor="end">${job.name}</text>`,
      `<rect x="${LEFT}" y="${y}" width="${at(time.ratio) - LEFT}" height="18" fill="${time.ratio <= job.bar.most ? '#4a8' : '#c66'}"/>`,
      `<path d="M${at(time.least)} ${middle}H${at(time.most)}" stroke="#000"/>`,
      `<path d="M${at(job.bar.most)} ${y - 2}v22" stroke="#36c" stroke-width="2"/>`,
      `<text x="${at(Math.max(time.ratio, time.most, job.bar.most)) + 6}" y="${y + 13}">${time.ratio.toFixed(2)}</text>`,
    ].join('');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + SCALE * MOST + 60}" height="${height}" font-family="sans-serif" font-size="12">
<title>Time by the time of the peer, for each job</title>
<rect width="100%" height="100%" fill="#fff"/>
${rows.join('\n')}
<path d="M${at(1)} 4V${height - 28}" stroke="#888" stroke-dasharray="4 3"/>
<text x="${LEFT}" y="${height - 8}">time by the peer's (dashed: as fast; blue: what it is to be at most; black: rounds)</text>
</svg>
`;
}

function at(ratio: number): number {
  return Math.round(LEFT + Math.min(ratio, MOST) * SCALE);
}
