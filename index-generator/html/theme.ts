/** The colour of links and buttons, as a project chose it, and as everybody can read it. */

import { type Markup, markup } from '../markup.js';

/** Colours as `#rrggbb`; without one of them the page's own, or what the other gives. */
export interface Theme {
  readonly accent?: string;
  readonly accentDark?: string;
}

/** What a page does with a theme. */
export interface UsedTheme {
  readonly style: Markup;
  /** Colours that were given and could not be read: what stands in their place. */
  readonly corrected: readonly { readonly given: string; readonly used: string; readonly scheme: 'light' | 'dark' }[];
}

/** What a link stands on, by the page's style: its own ground, and that of what is raised from it. */
const GROUNDS = { light: ['#ffffff', '#f3f5f7'], dark: ['#14181c', '#1e242a'] } as const;

/** WCAG 2.2, 1.4.3: text has at least this contrast. */
const CONTRAST = 4.5;

type Rgb = readonly [number, number, number];

/** The style of a theme. A colour with too little contrast is made darker, or lighter on dark ground, until it has enough. */
export function useTheme({ accent, accentDark }: Theme = {}): UsedTheme {
  const light = accent === undefined ? undefined : readable(accent, 'light');
  const darkGiven = accentDark ?? accent;
  const dark = darkGiven === undefined ? undefined : readable(darkGiven, 'dark');
  const corrected = [
    ...(accent !== undefined && light !== accent ? [{ given: accent, used: light!, scheme: 'light' as const }] : []),
    // One that was chosen for light ground only is no mistake.
    ...(accentDark !== undefined && dark !== accentDark
      ? [{ given: accentDark, used: dark!, scheme: 'dark' as const }]
      : []),
  ];
  const style = markup`${light === undefined ? undefined : markup`:root { --accent: ${light}; }\n`}${
    dark === undefined ? undefined : markup`@media (prefers-color-scheme: dark) { :root { --accent: ${dark}; } }\n`
  }`;
  return { style, corrected };
}

/** `#rrggbb` in lower case of that or of `#rgb`; nothing of what is no such colour. */
export function parseColour(text: string): string | undefined {
  const digits = /^#([0-9a-f]{6}|[0-9a-f]{3})$/i.exec(text.trim())?.[1]?.toLowerCase();
  if (digits === undefined) return undefined;
  return `#${digits.length === 6 ? digits : [...digits].map((digit) => digit + digit).join('')}`;
}

/** WCAG's contrast of two colours, from 1 to 21. */
export function contrastOf(one: string, other: string): number {
  const [a, b] = [luminance(rgbOf(one)), luminance(rgbOf(other))];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

function readable(colour: string, scheme: 'light' | 'dark'): string {
  const end = scheme === 'light' ? 0 : 255;
  const from = rgbOf(colour);
  for (let step = 0; step <= 50; step++) {
    const mixed = hexOf(from.map((part) => Math.round(part + ((end - part) * step) / 50)));
    if (GROUNDS[scheme].every((ground) => contrastOf(mixed, ground) >= CONTRAST)) return mixed;
  }
  return scheme === 'light' ? '#000000' : '#ffffff';
}

function luminance(rgb: Rgb): number {
  const [red, green, blue] = rgb.map((part) => {
    const value = part / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function rgbOf(colour: string): Rgb {
  const parts = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
  return parts as unknown as Rgb;
}

function hexOf(rgb: readonly number[]): string {
  return `#${rgb.map((part) => part.toString(16).padStart(2, '0')).join('')}`;
}
