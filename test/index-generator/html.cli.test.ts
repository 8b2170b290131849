import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { HtmlValidate } from 'html-validate';
import { describe, expect, it } from 'vitest';
import { fetchCommand, fetchedOf } from '#index-generator/html/command.js';
import { type PageOptions, renderPage } from '#index-generator/html/page.js';
import { commitLink, type Forge, pathOfKey, sourceLinks, webAddress } from '#index-generator/links.js';
import { comparePlatforms, platformName, platformOf } from '#index-generator/platform.js';
import { secretKeyFromSeed } from '#lib/signing/key.js';
import { minisignKey, renderMinisignKey } from '#lib/signing/minisign.js';
import type { Release, ReleaseIndex } from '#release/catalog/model.js';
import { useDirectory } from '../support/files.js';
import {
  COMMIT,
  fullIndex,
  HOSTILE_NAMES,
  indexOf,
  releaseOf,
  SHA256,
  TARGETS,
  targetOf,
  unsigned,
} from './html-samples.js';

const FORGE: Forge = { kind: 'gitea', url: 'https://git.example.org/Deuxfleurs/garage' };
const OPTIONS: PageOptions = { title: 'Garage', baseUrl: 'https://garage.example.org/', forge: FORGE };
const MINISIGN_KEY = renderMinisignKey(minisignKey(secretKeyFromSeed('test-1', Buffer.alloc(32, 1)).publicKey));
const SIGNED: PageOptions = { ...OPTIONS, minisignKey: MINISIGN_KEY };

describe('The release page', () => {
  it.each([
    ['with everything', renderPage(fullIndex(), SIGNED)],
    ['without signatures', renderPage(fullIndex(), OPTIONS)],
    ['without options', renderPage(fullIndex())],
    ['without releases', renderPage(indexOf(), OPTIONS)],
    [
      'with hostile options',
      renderPage(fullIndex(), {
        ...{ title: '<img onerror="x">', baseUrl: 'javascript:alert(1)', minisignKey: '"><script>' },
        forge: { kind: 'github', url: 'https://x.example/"><script>' },
      }),
    ],
    ['with more than it shows', renderPage(builds(150), OPTIONS)],
  ])('%s is valid HTML', async (_, page) => {
    const validator = new HtmlValidate({
      root: true,
      extends: ['html-validate:recommended', 'html-validate:document'],
      rules: {
        // These are taste: names are of any length, and the style is within the page since nothing may be loaded.
        'long-title': 'off',
        'require-sri': 'off',
        // A commit may begin with a digit, and HTML lets names do so.
        'valid-id': ['error', { relaxed: true }],
      },
    });
    const { results } = await validator.validateString(page);
    expect(
      results.flatMap(({ messages }) => messages.map(({ ruleId, message, line }) => `${line}: ${ruleId}: ${message}`)),
    ).toEqual([]);
  });

  it('is the same for the same releases', () => {
    expect(renderPage(fullIndex(), OPTIONS)).toBe(renderPage(fullIndex(), OPTIONS));
  });

  it('has no markup of what it is made of', () => {
    const page = renderPage(fullIndex(), { ...OPTIONS, title: '<script>title</script>' });
    expect(page.match(/<script\b/g)).toHaveLength(1);
    expect(page).not.toMatch(/<(img|svg|b)\b|href="javascript/);
    expect(page).toContain('&lt;script&gt;title&lt;/script&gt;');
  });

  it('gives one command for each system of the newest stable release that is not yanked', () => {
    const page = renderPage(fullIndex(), OPTIONS);
    expect(page.match(/<pre data-copy/g)).toHaveLength(1);
    expect(page).toContain(
      'curl -fL -o garage &#39;https://garage.example.org/_releases/v2.0.0/x86_64-unknown-linux-musl/garage&#39;',
    );
    expect(page.indexOf('v2.0.0')).toBeLessThan(page.indexOf('v2.1.0'));
    expect(page.indexOf('v2.1.0')).toBeLessThan(page.indexOf('v1.0.0'));
  });

  it('takes for the newest what has all that it must have, as `releases/latest/` does', () => {
    const [first] = TARGETS;
    const whole = releaseOf('v1.0.0', 'stable', TARGETS);
    const newest = (...releases: readonly Release[]) =>
      /class="newest".*?<h3><bdi>([^<]*)/s.exec(renderPage(indexOf(...releases), { requiredTargets: [first] }))?.[1];
    expect(newest(releaseOf('v1.1.0', 'stable', TARGETS), whole)).toBe('v1.1.0');
    expect(newest(releaseOf('v1.1.0', 'stable', TARGETS, { incomplete: true }), whole)).toBe('v1.0.0');
    expect(newest(releaseOf('v1.1.0', 'stable', TARGETS.slice(1)), whole)).toBe('v1.0.0');
  });

  it('gives no command where it does not know the address, or where every stable release is yanked', () => {
    expect(renderPage(fullIndex())).not.toContain('<pre data-copy');
    const yanked = releaseOf('v1.0.0', 'stable', TARGETS, {
      yanked: { reason: 'broken', time: '2026-03-04T05:06:07Z' },
    });
    expect(renderPage(indexOf(yanked), OPTIONS)).not.toContain('<pre data-copy');
  });

  it('says of which release one was made, and after which checks', () => {
    const page = renderPage(fullIndex(), OPTIONS);
    expect(page).toContain('The same as <bdi>v2.0.0-rc1</bdi>, from which it was promoted after a check:');
    expect(page).toContain('<li><bdi>minimum-age</bdi>: <bdi>3 days old</bdi></li>');
    expect(page).toContain('<a href="https://ci.example.org/1">Build</a>');
  });

  it('says what is incomplete, and what is not signed where others are', () => {
    const bare = unsigned(releaseOf('v9.0.0', 'stable', TARGETS));
    const shown = (...releases: readonly Release[]) =>
      Array.from(
        renderPage(indexOf(...releases), OPTIONS).matchAll(/<h3><bdi>([^<]*)<.*?<\/article>/gs),
        ([text, version]) => [
          version,
          text.includes('<strong>Not signed:</strong>'),
          text.includes('<strong>Incomplete:</strong>'),
        ],
      );
    expect(
      shown(bare, releaseOf('v1.0.0', 'stable', TARGETS, { incomplete: true }), releaseOf('v0.9.0', 'stable', TARGETS)),
    ).toEqual([
      ['v0.9.0', false, false],
      ['v9.0.0', true, false],
      ['v1.0.0', false, true],
    ]);
    expect(shown(bare)).toEqual([['v9.0.0', false, false]]);
  });

  it('leads to the commit where the tag may be of carport alone', () => {
    const links = (more: Partial<Release>) =>
      /<a href="([^"]*)">Sources<\/a>/.exec(
        renderPage(indexOf(releaseOf('v1.0.0', 'stable', TARGETS, more)), OPTIONS),
      )?.[1];
    const tag = `${FORGE.url}/src/tag/v1.0.0`;
    const commit = `${FORGE.url}/src/commit/${COMMIT}`;
    const ci = (system: string) => ({ system, event: null, runUrl: null });
    const promotedFrom = { version: 'v1.0.0-rc1', gates: [] };
    expect(links({})).toBe(tag);
    expect(links({ commit: COMMIT, ci: ci('drone') })).toBe(tag);
    expect(links({ commit: COMMIT, ci: ci('none') })).toBe(commit);
    expect(links({ commit: COMMIT, ci: ci('drone'), promotedFrom })).toBe(commit);
    expect(links({ ci: ci('none'), promotedFrom })).toBe(tag);
  });

  it('leads to the checksums that there are, and to the other views', () => {
    const bare = releaseOf('v1.0.0', 'extra', [], {
      targets: [{ target: 'x', files: [{ name: 'y', key: '_releases/v1.0.0/x/y', size: 1, time: '' }] }],
    });
    const of = (index: ReleaseIndex, options: PageOptions) =>
      Array.from(
        renderPage(index, options).matchAll(/href="(\.?\/?_?releases\/[^"]*(?:SUMS|json|atom|minisig))"/g),
        ([, to]) => to,
      );
    const feeds = ['releases/feed.atom', 'releases/all.atom'];
    expect(of(indexOf(bare), OPTIONS)).toEqual([...feeds, 'releases/index.json', ...feeds]);
    expect(of(indexOf(releaseOf('v1.0.0', 'stable', TARGETS)), SIGNED)).toEqual([
      ...feeds,
      ...TARGETS.toSorted(comparePlatforms).flatMap((target) => [
        `./releases/v1.0.0/${target}/SHA256SUMS`,
        `./releases/v1.0.0/${target}/SHA256SUMS.minisig`,
      ]),
      ...['./releases/v1.0.0/SHA256SUMS', './releases/v1.0.0/SHA256SUMS.minisig'],
      ...['releases/index.json', 'releases/index.json.minisig', ...feeds],
    ]);
  });

  it('says how to check the checksums of the newest stable release, when they are signed', () => {
    const page = renderPage(fullIndex(), SIGNED);
    const url = 'https://garage.example.org/releases/v2.0.0/SHA256SUMS';
    expect(page).toContain(
      `curl -fL -O &#39;${url}&#39; -O &#39;${url}.minisig&#39; &amp;&amp;\n  minisign -Vm SHA256SUMS -P ${MINISIGN_KEY}</code>`,
    );
    expect(page.match(/<pre data-copy/g)).toHaveLength(2);
    expect(renderPage(fullIndex(), { minisignKey: MINISIGN_KEY })).toContain(
      `<code>minisign -Vm SHA256SUMS -P ${MINISIGN_KEY}</code>`,
    );
    expect(renderPage(fullIndex(), OPTIONS)).not.toContain('minisign -Vm');
  });

  it('says which channels are empty', () => {
    const page = renderPage(indexOf());
    expect(page).toContain('There is no stable release yet.');
    expect(page).toContain('There is no extra build.');
    expect(page).toContain('There is no development build.');
  });

  it('shows the newest hundred of ten thousand builds, and says how many more there are', () => {
    const page = renderPage(builds(10_000), OPTIONS);
    expect(page).toContain('Show 10,000 development builds');
    expect(page).toContain('9,900 older ones are not shown here.');
    expect(page.match(/<article/g)).toHaveLength(100);
    expect(Buffer.byteLength(page)).toBeLessThan(400_000);
    expect(renderPage(builds(100))).not.toContain('not shown here');
    expect(renderPage(builds(101))).toContain('1 older one is not shown here.');
  });

  it('counts the newest stable release within the limit', () => {
    const page = renderPage(indexOf(...['v3.0.0', 'v2.0.0', 'v1.0.0'].map((v) => releaseOf(v, 'stable', TARGETS))), {
      limit: 2,
    });
    expect(page.match(/<article/g)).toHaveLength(2);
    expect(page).toContain('1 older one is not shown here.');
  });

  it('allows its own style and its own script, and nothing else', () => {
    const page = renderPage(indexOf());
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1]?.replaceAll('&#39;', "'");
    const hash = (tag: string) => {
      const content = new RegExp(`<${tag}>(.*)</${tag}>`, 's').exec(page)![1]!;
      return `'sha256-${createHash('sha256').update(content).digest('base64')}'`;
    };
    expect(policy?.split('; ')).toEqual([
      "default-src 'none'",
      'img-src data:',
      `style-src ${hash('style')}`,
      `script-src ${hash('script')}`,
      "base-uri 'none'",
      "form-action 'none'",
    ]);
  });
});

describe('Links of the page', () => {
  it('encode keys, so that a URL is one and the same key again', () => {
    for (const name of HOSTILE_NAMES) {
      const path = pathOfKey(`_releases/${name}/x`)!;
      expect(path).toMatch(/^[A-Za-z0-9._~%/-]+$/);
      expect(decodeURIComponent(new URL(path, 'https://example.org/').pathname)).toBe(`/_releases/${name}/x`);
    }
  });

  it('leave out keys that would lead elsewhere', () => {
    expect(pathOfKey('_releases/../secret')).toBeUndefined();
    expect(pathOfKey('_releases/./x')).toBeUndefined();
    const page = renderPage(indexOf(releaseOf('..', 'extra', TARGETS)), OPTIONS);
    expect(page).not.toMatch(/href="[^"]*\.\./);
  });

  it('lead to the web only, and tell no password', () => {
    expect(webAddress('https://user:secret@example.org/a b/?token=1#x')).toBe('https://example.org/a%20b');
    expect(webAddress("https://example.org/it's")).toBe('https://example.org/it%27s');
    for (const wrong of ['javascript:alert(1)', 'data:text/html,x', 'example.org', '', 'file:///etc/passwd']) {
      expect(webAddress(wrong)).toBeUndefined();
      expect(renderPage(fullIndex(), { baseUrl: wrong, forge: { kind: 'github', url: wrong } })).not.toMatch(
        /href="(?!#|\.\/_?releases\/|_releases\.json"|releases\/(?:index\.json|feed\.atom|all\.atom)"|data:,"|https:\/\/(?:ci\.|x\.)?example)/,
      );
    }
  });

  it('know the pages of each forge', () => {
    const at = (kind: Forge['kind']) => {
      const forge: Forge = { kind, url: 'https://example.org/a/b/' };
      return [sourceLinks(forge, 'v1 0', 'tag'), sourceLinks(forge, COMMIT, 'commit'), commitLink(forge, COMMIT)];
    };
    const project = 'https://example.org/a/b';
    expect(at('gitea')).toEqual([
      { browse: `${project}/src/tag/v1%200`, archive: `${project}/archive/v1%200.tar.gz` },
      { browse: `${project}/src/commit/${COMMIT}`, archive: `${project}/archive/${COMMIT}.tar.gz` },
      `${project}/commit/${COMMIT}`,
    ]);
    expect(at('github')).toEqual([
      { browse: `${project}/tree/v1%200`, archive: `${project}/archive/refs/tags/v1%200.tar.gz` },
      { browse: `${project}/tree/${COMMIT}`, archive: `${project}/archive/${COMMIT}.tar.gz` },
      `${project}/commit/${COMMIT}`,
    ]);
    expect(at('gitlab')).toEqual([
      { browse: `${project}/-/tree/v1%200`, archive: `${project}/-/archive/v1%200/source.tar.gz` },
      { browse: `${project}/-/tree/${COMMIT}`, archive: `${project}/-/archive/${COMMIT}/source.tar.gz` },
      `${project}/-/commit/${COMMIT}`,
    ]);
    expect(commitLink(FORGE, '../../evil')).toBeUndefined();
  });

  it('lead to commits of 64 digits, and to no part of one', () => {
    const long = COMMIT + COMMIT.slice(16);
    expect(commitLink(FORGE, long)).toBe(`${FORGE.url}/commit/${long}`);
    expect(commitLink(FORGE, long.slice(1))).toBeUndefined();
  });
});

describe('Commands of the page', () => {
  const directory = useDirectory();

  it('fetch a file and check it', () => {
    const content = 'a program\n';
    writeFileSync(join(directory(), "it's & $HOME"), content);
    const url = `${webAddress(pathToFileURL(directory()).href.replace('file:', 'https:').replace('//', '//host'))}/${pathOfKey("it's & $HOME")}`;
    const local = url.replace('https://host', 'file://');
    const run = (system: 'linux' | 'macos', sha256: string) =>
      spawnSync('bash', ['-c', fetchCommand(system, { name: 'garage', url: local, sha256 })], {
        cwd: directory(),
        encoding: 'utf8',
      });
    for (const system of ['linux', 'macos'] as const) {
      const good = run(system, createHash('sha256').update(content).digest('hex'));
      expect([good.status, good.stdout]).toEqual([0, 'garage: OK\n']);
      expect(readFileSync(join(directory(), 'garage'), 'utf8')).toBe(content);
      expect(run(system, SHA256).status).not.toBe(0);
    }
  });

  it('type no name that a shell would take for more, and no hash that is none', () => {
    for (const name of ['-rf', '.bashrc', 'a b', "a'b", '$(id)', 'a\nb', '\u{202e}x', 'x'.repeat(101)]) {
      const [
        {
          files: [file],
        },
      ] = [targetOf('v1.0.0', 'x', { name, sha256: "'; id; '" })];
      expect(fetchCommand('linux', fetchedOf(file!, 'https://example.org/x'))).toBe(
        "curl -fL -o download 'https://example.org/x'",
      );
    }
  });
});

describe('Platforms of the page', () => {
  it('have the names that people know, and Linux alone has them', () => {
    expect([...TARGETS].map(platformName)).toEqual(['linux/arm64', 'linux/arm', 'linux/386', 'linux/amd64']);
    for (const raw of ['x86_64-apple-darwin', 'riscv64gc-unknown-linux-gnu', 'x86_64', '', '-linux']) {
      expect(platformName(raw)).toBe(raw);
    }
  });

  it('are called as their people call them', () => {
    const labels = {
      'x86_64-unknown-linux-gnu': 'Linux x86-64',
      'armv7-unknown-linux-gnueabihf': 'Linux armv7',
      'riscv64gc-unknown-linux-gnu': 'Linux riscv64gc',
      'aarch64-apple-darwin': 'macOS arm64',
      'universal-apple-darwin': 'macOS universal',
      'x86_64-pc-windows-msvc': 'Windows x86-64',
      'i686-pc-windows-gnu': 'Windows x86 (32 bits)',
      'linux-amd64': 'Linux x86-64',
      'darwin-arm64': 'macOS arm64',
      windows_amd64: 'Windows x86-64',
      linux: 'Linux',
      source: 'source',
      'wasm32-wasi': 'wasm32-wasi',
      'x86_64-unknown-freebsd': 'x86_64-unknown-freebsd',
    };
    expect(Object.fromEntries(Object.keys(labels).map((target) => [target, platformOf(target).label]))).toEqual(labels);
  });

  it('are shown as most people look for them', () => {
    expect(['zz', 'aa', ...TARGETS].sort(comparePlatforms).map(platformName)).toEqual([
      'linux/amd64',
      'linux/arm64',
      'linux/arm',
      'linux/386',
      'aa',
      'zz',
    ]);
  });
});

function builds(amount: number) {
  const commits = Array.from({ length: amount }, (_, index) => index.toString(16).padStart(40, '0'));
  return indexOf(...commits.map((commit) => releaseOf(commit, 'development', TARGETS)));
}
