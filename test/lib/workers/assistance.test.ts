import { expect, it } from 'vitest';
import { createAssistance } from '#lib/workers/assistance.js';
import { openChunkLine } from '#lib/workers/chunk-line.js';
import type { UnpackJob } from '#lib/workers/jobs.js';

const LARGE = 64 * 1024 * 1024;
const JOB = { type: 'unpack', destination: '/nowhere', promise: { compression: 'zstd' } } as UnpackJob;

it('memory of a large NAR is used for the next one, as soon as nobody has it who helped', () => {
  const assistance = createAssistance(2);
  const begin = () => assistance.shared(JOB, LARGE) as UnpackJob;
  const first = begin();
  const helper = assistance.next()!;
  expect(helper.line).toBe(first.line);
  openChunkLine(first.line!).fill(0, 1);
  assistance.ended(first);
  expect(assistance.next()).toBeUndefined();

  const second = begin();
  expect(second.line!.memory).not.toBe(first.line!.memory);
  assistance.ended(helper);
  assistance.ended(second);

  const third = begin();
  const line = openChunkLine(third.line!);
  expect([first.line!.memory, second.line!.memory]).toContain(third.line!.memory);
  expect(line.isEnded()).toBe(false);
  // What was in it is not taken for something of this NAR.
  line.help(line.recalls() + 1, () => expect.fail('there is nothing to do'));
  expect(assistance.next()).toMatchObject({ recalls: 0, line: third.line });
});

it('ends once what ends twice', () => {
  const assistance = createAssistance(4);
  const job = assistance.shared(JOB, LARGE) as UnpackJob;
  const helper = assistance.next()!;
  for (let time = 0; time < 2; time++) for (const ended of [helper, job]) assistance.ended(ended);
  expect(assistance.next()).toBeUndefined();
});

it('memory of lines is bounded, also of those that are kept', () => {
  const assistance = createAssistance(16);
  const jobs = Array.from({ length: 3 }, () => assistance.shared(JOB, LARGE) as UnpackJob);
  expect(jobs.map(({ line }) => line?.slots)).toEqual([expect.any(Number), undefined, undefined]);
  for (const job of jobs) assistance.ended(job);
  expect((assistance.shared(JOB, LARGE) as UnpackJob).line!.memory).toBe(jobs[0]!.line!.memory);
});
