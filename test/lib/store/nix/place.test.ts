import { expect, it } from 'vitest';
import { placeOfUri } from '#lib/store/nix/place.js';

it.each([
  ['', '/nix/store'],
  ['auto', '/nix/store'],
  ['daemon', '/nix/store'],
  ['local', '/nix/store'],
  ['unix:///run/socket', '/nix/store'],
  ['ssh-ng://machine?root=/srv', '/nix/store'],
  ['/srv', '/srv/nix/store'],
  ['/srv/', '/srv/nix/store'],
  ['/', '/nix/store'],
  ['local?root=/srv', '/srv/nix/store'],
  ['local?read-only=1&root=/srv/', '/srv/nix/store'],
  ['local?root=/a%20b+c', '/a b+c/nix/store'],
  ['local?root=/a%', '/a%/nix/store'],
  // As Nix 2.34 prints it.
  ['local:///srv', '/srv/nix/store'],
  ['local://?root=/srv', '/srv/nix/store'],
  ['local?real=/data&root=/srv', '/data'],
  ['local?root', '/nix/store'],
])('the store `%s` lies where Nix has it', (uri, realStoreDir) => {
  expect(placeOfUri(uri, {})).toEqual({ storeDir: '/nix/store', realStoreDir });
});

it('has the store dir that is named', () => {
  expect(placeOfUri('local?root=/srv&store=/gnu', {})).toEqual({ storeDir: '/gnu', realStoreDir: '/srv/gnu' });
  expect(placeOfUri('auto', { NIX_STORE_DIR: '/home/store' })).toEqual({
    ...{ storeDir: '/home/store', realStoreDir: '/home/store' },
  });
});
