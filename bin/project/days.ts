/** Times of toolchains for people: days, and times of the day where these are the same. */

/** The day of a time as ISO 8601. */
export function dayOf(time: string): string {
  return time.slice(0, 10);
}

/** Two times, so that they can be told apart: `2026-11-21 → 2026-11-28`. */
export function fromTo(one: string, other: string): string {
  const show = dayOf(one) === dayOf(other) ? timeOf : dayOf;
  return `${show(one)} → ${show(other)}`;
}

function timeOf(time: string): string {
  return `${dayOf(time)} ${time.slice(11, 19)}`;
}
