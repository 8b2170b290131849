import { describe, expect, it } from 'vitest';
import type { CacheLocation } from '#cache/cache-location.js';
import { parseCacheUrl } from '#cache/cache-url.js';
import { addressOf, objectUrl, type S3Location } from '#lib/object-store/s3/address.js';

function locationOf(text: string): S3Location {
  const location: CacheLocation = parseCacheUrl(text).location;
  if (location.kind !== 's3') throw new Error(text);
  return location;
}

describe('the address of a bucket', () => {
  it.each([
    ['s3://nix', 'https://nix.s3.eu-west-1.amazonaws.com/'],
    ['s3://my.nix', 'https://s3.eu-west-1.amazonaws.com/my.nix/'],
    ['s3://nix?addressing-style=path', 'https://s3.eu-west-1.amazonaws.com/nix/'],
    ['s3://my.nix?addressing-style=virtual', 'https://my.nix.s3.eu-west-1.amazonaws.com/'],
    ['s3://nix?endpoint=garage.example', 'https://garage.example/nix/'],
    ['s3://nix?endpoint=garage.example&addressing-style=auto', 'https://garage.example/nix/'],
    ['s3://nix?endpoint=http://garage.example:3900', 'http://garage.example:3900/nix/'],
    ['s3://nix?endpoint=garage.example&addressing-style=virtual', 'https://nix.garage.example/'],
    ['s3://nix?endpoint=http://localhost:3900&addressing-style=virtual', 'http://nix.localhost:3900/'],
    ['s3://nix?endpoint=http://[::1]:3900', 'http://[::1]:3900/nix/'],
    ['s3://nix?endpoint=http://127.0.0.1:3900', 'http://127.0.0.1:3900/nix/'],
    ['s3://Nix_x', 'https://s3.eu-west-1.amazonaws.com/Nix_x/'],
    // No bucket can be put before an address.
    ['s3://nix?endpoint=http://127.0.0.1:3900&addressing-style=virtual', 'http://127.0.0.1:3900/nix/'],
    ['s3://nix?endpoint=http://[::1]:3900&addressing-style=virtual', 'http://[::1]:3900/nix/'],
  ])('%s is %s', (text, base) => {
    const location = locationOf(text);
    const address = addressOf(location, 'eu-west-1');
    expect(address.base.href).toBe(base);
    expect(address.bucket).toBe(location.bucket);
    expect(address.region).toBe('eu-west-1');
  });

  it('leads to objects, with everything encoded that a signature wants so', () => {
    const address = addressOf(locationOf('s3://nix?endpoint=http://h:1'), 'x');
    const href = (key: string, query = {}) => objectUrl(address, key, query).href;
    expect(href('nar/x.nar.zst')).toBe('http://h:1/nix/nar/x.nar.zst');
    expect(href("a b+c%/!'()*ü?#:@&=$,;~_-.")).toBe(
      'http://h:1/nix/a%20b%2Bc%25/%21%27%28%29%2A%C3%BC%3F%23%3A%40%26%3D%24%2C%3B~_-.',
    );
    expect(href('k', { uploadId: 'a+b/c=', partNumber: '10' })).toBe(
      'http://h:1/nix/k?partNumber=10&uploadId=a%2Bb%2Fc%3D',
    );
    expect(href('...')).toBe('http://h:1/nix/...');
  });
});
