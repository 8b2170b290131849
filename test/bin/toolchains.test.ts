import { parse } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { parseToolchains } from '#bin/project/toolchains.js';
import { parseLock, renderLock } from '#cache/toolchains/lock-file.js';
import { renderSecretKey } from '#lib/signing/key.js';
import { sampleKey } from '../support/samples.js';

describe('a hostile carport.toml', () => {
  it.each<readonly [string, RegExp]>([
    ['a = 1', /names no pin/],
    ['a = "../x"', /is no pin/],
    ['a = "x@yesterday"', /is not a value of a pin/],
    ['"../a" = "x"', /cannot be the name of a toolchain/],
    ['__proto__ = "x"', /cannot be the name of a toolchain/],
    ['constructor = "x"', /cannot be the name of a toolchain/],
    ['a = { pin = "x", trusted-keys = ["k:x"] }', /unknown field `trusted-keys`/],
    ['a = { pin = "x", cache = 1 }', /`cache` of `toolchains.a` is not a text/],
    ['a = { pin = "x", cache = "ftp://host" }', /ftp/],
    ['a = { pin = "x", cache = "file:///c?secret-key=/srv/key.sec" }', /may not name a secret key/],
    [`a = "${renderSecretKey(sampleKey('k'))}"`, /holds a key itself/],
    [Array.from({ length: 101 }, (_, index) => `a${index} = "x"`).join('\n'), /more than 100/],
  ])('with `%s` is refused', (line, reason) => {
    expect(() => parseToolchains(parse(line), 'carport.toml')).toThrow(reason);
  });
});

describe('a hostile carport.lock', () => {
  const path = { storePath: `/nix/store/${'0'.repeat(32)}-a`, narHash: `sha256-${'A'.repeat(43)}=` };
  const time = '2026-11-21T16:49:09.881Z';
  const lockOf = (paths: unknown) =>
    JSON.stringify({ version: 1, toolchains: { a: { pin: 'a', cache: 'c', since: time, updatedAt: time, paths } } });

  it.each<readonly [string, RegExp]>([
    ['', /is not JSON/],
    ['{"version":2,"toolchains":{}}', /is of version 2: a newer carport wrote it/],
    ['<<<<<<< HEAD\n', /is not JSON/],
    ['{"version":1,"toolchains":{"../x":{}}}', /toolchains/],
    [lockOf([]), /paths/],
    [lockOf([{ ...path, storePath: '/nix/store/../../etc/passwd' }]), /is not a store path/],
    [lockOf([{ ...path, narHash: 'md5-1B2M2Y8AsgTpgAmY7PhCfg==' }]), /is not a SHA-256/],
    [lockOf([{ storePath: path.storePath }]), /narHash/],
    [lockOf([path, { ...path, narHash: `sha256-B${'A'.repeat(42)}=` }]), /has two NAR hashes for a path/],
  ])('of `%s` is refused', (text, reason) => {
    expect(() => parseLock(text, 'carport.lock')).toThrow(reason);
  });

  it('is as it was when it is rendered again', () => {
    expect(renderLock(parseLock(lockOf([path]), 'carport.lock'))).toBe(
      `${JSON.stringify(JSON.parse(lockOf([path])), undefined, 2)}\n`,
    );
  });
});
