import { describe, expect, it } from 'vitest';
import {
  escapeProject,
  expandTags,
  isPlatformTag,
  isProjectName,
  normalizeProject,
  parseSdistName,
  parseWheelName,
} from '#lib/python/file-name.js';
import { renderPythonVersion } from '#lib/python/version.js';

describe('names of Python packages', () => {
  it('have a normal form', () => {
    expect(['Demo.Pkg', 'demo--_.pkg', 'DEMO_pkg'].map(normalizeProject)).toEqual(['demo-pkg', 'demo-pkg', 'demo-pkg']);
    expect(escapeProject('Demo.Pkg')).toBe('demo_pkg');
    expect(['a', 'a.b-c_d', '3'].every(isProjectName)).toBe(true);
    expect(['', '-a', 'a-', 'a b', 'a/b', '..', 'ä'].some(isProjectName)).toBe(false);
  });

  it('are read of wheels', () => {
    const { version, ...name } = parseWheelName(
      'demo_pkg-1.0rc1-1abc-cp310.cp311-abi3-manylinux2014_x86_64.nightly.whl',
    );
    expect(renderPythonVersion(version)).toBe('1.0rc1');
    expect(name).toEqual({
      ...{ project: 'demo_pkg', versionText: '1.0rc1', build: '1abc' },
      ...{ python: ['cp310', 'cp311'], abi: ['abi3'], platform: ['manylinux2014_x86_64', 'nightly'] },
    });
    expect(expandTags(name)).toHaveLength(4);
    expect(name.platform.filter(isPlatformTag)).toEqual(['manylinux2014_x86_64']);
    expect(renderPythonVersion(parseWheelName('a-1!2.0+cu12.8-py3-none-any.whl').version)).toBe('1!2.0+cu12.8');
  });

  it.each([
    ['demo-1.0-py3-none-any.zip', 'not the name of a wheel'],
    ['demo-1.0-py3-none.whl', 'not the name of a wheel'],
    ['demo-1.0-1-2-py3-none-any.whl', 'not the name of a wheel'],
    ['demo-x-py3-none-any.whl', 'in the place of a version'],
    ['demo-1.0-x1-py3-none-any.whl', 'build tag'],
    ['demo-1.0-py3-none-a?ny.whl', 'in the place of a tag'],
    ['.demo-1.0-py3-none-any.whl', "in the place of a project's name"],
  ])('are none: %s', (name, why) => {
    expect(() => parseWheelName(name)).toThrow(why);
  });

  it('are read of source distributions', () => {
    expect(parseSdistName('demo_pkg-1.0.tar.gz')).toMatchObject({ project: 'demo_pkg', versionText: '1.0' });
    expect(parseSdistName('my-pkg-1.0rc1.tar.gz')).toMatchObject({ project: 'my-pkg', versionText: '1.0rc1' });
    for (const name of ['demo.tar.gz', 'demo-v1-linux-x86_64.tar.gz', '-1.0.tar.gz', 'demo-1.0.zip'])
      expect(parseSdistName(name)).toBeUndefined();
  });
});
