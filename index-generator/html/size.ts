/** A size for people: `3.4 MiB`. */
export function formatSize(bytes: number): string {
  const unit = UNITS.findLast(({ size }) => bytes >= size);
  return unit === undefined
    ? `${bytes} ${bytes === 1 ? 'byte' : 'bytes'}`
    : `${(bytes / unit.size).toFixed(1)} ${unit.name}`;
}

const UNITS = [
  { name: 'KiB', size: 1024 },
  { name: 'MiB', size: 1024 ** 2 },
  { name: 'GiB', size: 1024 ** 3 },
];
