import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { findFreePorts } from '#dev/free-ports.js';

export interface Nginx {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  stop(): Promise<void>;
}

/** For a start on a busy machine. */
const DEADLINE_MS = 60_000;

export interface NginxOptions {
  /** What it serves, and where it keeps what it needs itself. */
  readonly root: string;
  readonly directory: string;
  /** More lines for its server. */
  readonly lines?: string;
}

/** Starts a web server that takes PUT (WebDAV), as a binary cache that Nix pushes to would have it. */
export async function startNginx({ root, directory, lines = '' }: NginxOptions): Promise<Nginx> {
  const [port] = await findFreePorts(1);
  await Promise.all([root, directory].map((each) => mkdir(each, { recursive: true })));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(directory, name)};`,
  );
  const config = `
    daemon off; worker_processes 1; error_log ${join(directory, 'error.log')}; pid ${join(directory, 'pid')};
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    events { worker_connections 512; }
    http {
      ${temporary.join('\n')}
      access_log off; default_type application/octet-stream;
      server {
        listen 127.0.0.1:${port}; root ${root}; client_max_body_size 0;
        dav_methods PUT; create_full_put_path on; keepalive_timeout 5;
        ${lines}
      }
    }`;
  const file = join(directory, 'nginx.conf');
  await writeFile(file, config);
  const child = spawn('nginx', ['-c', file, '-p', directory, '-e', join(directory, 'error.log')], { stdio: 'inherit' });
  const ended = once(child, 'exit');
  const url = `http://127.0.0.1:${port}`;
  const kill = () => void child.kill();
  const stop = async () => {
    process.off('exit', kill);
    child.kill('SIGTERM');
    await ended;
  };
  process.once('exit', kill);
  for (const deadline = performance.now() + DEADLINE_MS; ; await sleep(25)) {
    const answers = await fetch(url).then(
      () => true,
      () => false,
    );
    if (answers) return { url, stop };
    if (child.exitCode !== null || performance.now() > deadline) {
      await stop();
      throw new Error(`nginx did not start: \`nginx -t -c ${file}\` tells why`);
    }
  }
}

/** Why it cannot be started, if so. */
export async function nginxMissing(): Promise<string | undefined> {
  const { stderr, failed } = await execa('nginx', ['-V'], { reject: false });
  if (failed) return '`nginx` is not on PATH';
  return String(stderr).includes('http_dav_module') ? undefined : 'nginx was built without WebDAV';
}
