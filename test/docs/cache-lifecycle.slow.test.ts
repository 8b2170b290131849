import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readSample } from '../samples/pipelines.js';
import { program } from '../samples/project.js';
import { codeBlocks, readDocument } from '../support/markdown.js';
import { useSampleCache } from '../support/sample-cache.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';

describe('the upkeep of a cache', () => {
  const sample = useSampleCache();
  const box = useSandbox('all');
  const page = readDocument('docs/cache-lifecycle.md');
  let cache: string;
  let number = 0;
  beforeAll(() => program(box().path('bin/carport'), [`exec ${process.execPath} ${CARPORT} "$@"`]));
  beforeEach(async () => {
    const { samples, keyFile } = sample();
    cache = `file://${await sample().copy(box().path(`cache-${number++}`))}`;
    await box().succeed(['pin', 'set', 'tool', samples.top.path, '--to', cache, '--secret-key', keyFile.file]);
    await writeFile(box().path('home/cache.pub'), keyFile.publicKey);
  });

  /** Runs a line in the user's home; gives what it prints. */
  async function run(line: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
    const { all, exitCode } = await execa('sh', ['-c', line], {
      ...{ cwd: box().path('home'), extendEnv: false, reject: false, all: true },
      env: {
        ...{ ...box().env, CARPORT_TRUSTED_KEYS: sample().keyFile.publicKey, ...env },
        PATH: `${box().path('bin')}:/usr/bin:/bin`,
      },
    });
    expect(exitCode, `${line}: ${all}`).toBe(0);
    return all;
  }

  it('is as docs/cache-lifecycle.md has it', async () => {
    const blocks = codeBlocks(page).filter(({ language }) => language === 'text');
    const lines = blocks.flatMap(({ text }) => text.split('\n'));
    const commands = lines.flatMap(
      (line) => /^(?:\$ |[0-9*]+ +[0-9*]+ \S+ \S+ \S+ +)?(carport .*)$/.exec(line)?.[1] ?? [],
    );
    expect(commands.length).toBeGreaterThanOrEqual(6);
    const metrics = box().path('home/carport.prom');
    for (const command of commands) {
      expect(command).not.toContain('%');
      const here = command.replace(/'s3:[^']*'|file:\/\/\/srv\/cache/, `'${cache}'`);
      await run(here.replaceAll('/var/lib/node_exporter/carport.prom', metrics));
    }
    expect(await readFile(metrics, 'utf8')).toContain('carport_cache_bytes');
    expect(await readFile(`${cache.slice(7)}/index.html`, 'utf8')).toContain('https://nix.example.org');
  });

  it('prints what the page shows', async () => {
    const { text } = codeBlocks(page).find(({ heading }) => heading === 'What it holds')!;
    const shape = (all: string) => all.match(/^(url|objects|paths|equal NARs|orphans|root|pin|\(.*?\))/gm);
    const shown = text.replace(/^pin base.*\n/m, '').replace(/^\$.*\n/, '');
    expect(shape(await run(`carport cache stats '${cache}'`))).toEqual(shape(shown));
  });

  it('is done by cron without a word, while nothing is broken', async () => {
    const lines = readSample('carport-cache.cron').split('\n');
    const entries = lines.filter((line) => line !== '' && !line.startsWith('#') && !/^\w+=/.test(line));
    const metrics = box().path('home/metrics.prom');
    const env = `CACHE='${cache}'\nPAGE=https://nix.example.org\nMETRICS=${metrics}\n`;
    await writeFile(box().path('home/cache.env'), env, { mode: 0o600 });
    const commands = entries.map((entry) => /^(?:\S+ ){5}caches (.*)$/.exec(entry)![1]!);
    expect(commands).toHaveLength(5);
    for (const command of commands) {
      expect(command).not.toContain('%');
      expect(await run(command), command).toBe('');
    }
    expect(await readFile(metrics, 'utf8')).toContain('carport_cache_bytes');
  });

  it('is done in CI', async () => {
    const { jobs } = parse(readSample('forgejo-cache.yml')) as {
      readonly jobs: { readonly upkeep: { readonly steps: readonly { readonly run?: string }[] } };
    };
    const commands = jobs.upkeep.steps.flatMap((step) => step.run ?? []).filter((line) => line.startsWith('carport'));
    expect(commands).toHaveLength(3);
    for (const command of commands) await run(command, { CACHE: cache });
    expect(await readFile(join(cache.slice(7), 'nix-cache-info'), 'utf8')).toContain('StoreDir');
  });
});
