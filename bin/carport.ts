#!/usr/bin/env node
/** The program: a process for one command line. */

import { watchOutput } from './cli/context.js';
import { runCommandLine } from './program.js';

const { env, stdin, stdout, stderr } = process;
for (const stream of [stdout, stderr]) watchOutput(stream);
process.exitCode = await runCommandLine(process.argv.slice(2), { env, stdin, stdout, stderr });
// Work that an interrupt could not stop would keep the process.
if (process.exitCode === 130) process.exit();
