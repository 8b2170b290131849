import { join } from 'node:path';
import { expect, it } from 'vitest';
import { homeDirectory, xdgDirectory } from '#lib/home-directory.js';
import { stateDirectory } from '#lib/state-directory.js';

it('the home directory is HOME, unless that is relative or empty: it would be another one in each directory', () => {
  expect(homeDirectory({ HOME: '/users/a' })).toBe('/users/a');
  for (const HOME of ['', 'relative', undefined]) expect(homeDirectory({ HOME })).toMatch(/^\//);
});

it('a directory of XDG is the variable, unless that is relative', () => {
  const env = { HOME: '/users/a', XDG_STATE_HOME: '/state', XDG_DATA_HOME: 'data' };
  expect(xdgDirectory(env, 'XDG_STATE_HOME', '.local/state')).toBe('/state');
  expect(xdgDirectory(env, 'XDG_DATA_HOME', '.local/share')).toBe('/users/a/.local/share');
  expect(stateDirectory(env)).toBe(join('/state', 'carport'));
});
