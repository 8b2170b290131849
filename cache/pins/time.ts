/** Days and times as people write them. */

/** A day such as `2026-11-01`. */
const DAY = /^\d{4}-\d\d-\d\d$/;
/** A time with its zone, such as `2026-11-01T12:00:00Z`. */
const TIME = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/;

/** Milliseconds since 1970 of a time, or of a day at `timeOfDay` in UTC; `undefined` for what is neither, as 31 February. */
export function parseTime(text: string, timeOfDay: string): number | undefined {
  const day = DAY.test(text) ? text : TIME.exec(text)?.[1];
  if (day === undefined || !isDay(day)) return undefined;
  const time = Date.parse(day === text ? `${day}T${timeOfDay}Z` : text);
  return Number.isNaN(time) ? undefined : time;
}

/** `Date` takes 31 February for 3 March. */
function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}
