/** Processes that see a mount of something. */

import { readdir, readFile, readlink } from 'node:fs/promises';

/**
 * Processes that see a mount of a file or directory with a name that nothing else has: those of a mount namespace that was
 * made with it, and of namespaces within. Only processes that `/proc` shows can be found.
 */
export async function processesThatMount(name: string): Promise<readonly number[]> {
  const ids = (await readdir('/proc').catch(() => [])).filter((entry) => /^[0-9]+$/.test(entry));
  const answers = new Map<string, Promise<boolean>>();
  const isMountedFor = async (id: string): Promise<boolean> => {
    const view = await viewOf(id);
    const answer = answers.get(view) ?? hasMount(id, name);
    answers.set(view, answer);
    return answer;
  };
  const found = await Promise.all(ids.map(async (id) => ((await isMountedFor(id)) ? [Number(id)] : [])));
  // The oldest first, as a rule: what it starts may be gone in an instant.
  return found.flat().sort((a, b) => a - b);
}

/** The same for all processes that see the same mounts. One that may not be asked stands for itself. */
async function viewOf(id: string): Promise<string> {
  const links = ['ns/mnt', 'root'].map((name) => readlink(`/proc/${id}/${name}`));
  return Promise.all(links).then(
    (views) => views.join(' '),
    () => id,
  );
}

/** Everybody may read this; of a process that has ended it is empty. */
async function hasMount(id: string, name: string): Promise<boolean> {
  const mounts = await readFile(`/proc/${id}/mountinfo`, 'latin1').catch(() => '');
  return mounts.includes(`/${name}`);
}
