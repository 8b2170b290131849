/** NAR events as a file tree. */

import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  futimesSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readlinkSync,
  type Stats,
  symlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { CarportError, isErrno } from '../errors.js';
import type { NarEvent } from '../nix/nar/event.js';
import { childPath } from './walk.js';

/** `store`: read-only files of the time 1, as in a Nix store. `user`: what the user's umask says, as they are made. */
export type UnpackModes = 'store' | 'user';

/** Nix gives every file in a store this time, in seconds: zero looks broken to some programs. */
const STORE_TIME = 1;

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export interface Unpacker {
  (event: NarEvent): void;
  /** Closes the file that a failure has left open. */
  close(): void;
}

/** Writes what files hold. */
export interface FileWriter {
  /** Writes all bytes at a position, at once or later. */
  write(file: number, bytes: Uint8Array, position: number): void;
  /** All of a file was given: calls `close` as soon as it is written, or `leave` when it will not be. */
  end(file: number, close: () => void, leave: () => void): void;
}

const AT_ONCE: FileWriter = { write: writeWhole, end: (_, close) => close() };

/** Where in a tree the events of its NAR are. */
export type TreePlace = ReturnType<typeof createTreePlace>;

export function createTreePlace(destination: string) {
  const directories: Buffer[] = [];
  let path: Buffer = Buffer.from(destination);
  let isFile = false;
  const enter = () => directories.push(path);
  const goTo = (name: Uint8Array): void => {
    path = childPath(directories.at(-1)!, name);
  };
  const leave = () => directories.pop()!;
  return {
    path: () => path,
    enter,
    goTo,
    /** Gives the directory whose end is here. */
    leave,
    /** Passes by what is there, and needs nothing done for it. */
    pass(event: NarEvent): void {
      if (event.type === 'directory') enter();
      else if (event.type === 'entry') goTo(event.name);
      else if (event.type === 'end' && !isFile) leave();
      if (event.type === 'regular' || event.type === 'end') isFile = event.type === 'regular';
    },
  };
}

/**
 * Writes a tree below `destination`, which must not exist: in a directory that only this process writes to. Nothing that
 * exists is opened or followed: every file and directory is made anew, or it is an error. The events come from a decoder
 * that has checked names, order and depth. It goes on at a place, where some of the tree is there.
 */
export function createUnpacker(
  destination: string,
  modes: UnpackModes,
  writer: FileWriter = AT_ONCE,
  place: TreePlace = createTreePlace(destination),
): Unpacker {
  let file: number | undefined;
  let executable = false;
  let written = 0;

  const apply = (event: NarEvent): void => {
    switch (event.type) {
      case 'directory':
        mkdirSync(place.path(), modes === 'store' ? 0o700 : 0o777);
        place.enter();
        break;
      case 'entry':
        place.goTo(event.name);
        break;
      case 'regular':
        executable = event.executable;
        file = openSync(place.path(), CREATE, executable ? 0o777 : 0o666);
        written = 0;
        break;
      case 'contents':
        writer.write(file!, event.bytes, written);
        written += event.bytes.length;
        break;
      case 'symlink':
        makeSymlink(event.target as Buffer, place.path(), modes);
        break;
      case 'end':
        if (file === undefined) endDirectory(place.leave(), modes);
        else writer.end(file, endFile(file, executable), leaveFile(file));
        file = undefined;
        break;
    }
  };
  const endFile = (descriptor: number, isExecutable: boolean) => (): void => {
    if (modes === 'store') {
      fchmodSync(descriptor, isExecutable ? 0o555 : 0o444);
      futimesSync(descriptor, STORE_TIME, STORE_TIME);
    }
    closeSync(descriptor);
  };
  const leaveFile = (descriptor: number) => (): void => closeSync(descriptor);

  const explained = (event: NarEvent): void => {
    try {
      apply(event);
    } catch (error) {
      throw explain(error, place.path());
    }
  };
  const close = (): void => {
    if (file !== undefined) closeSync(file);
    file = undefined;
  };
  return Object.assign(explained, { close });
}

/** Makes a symlink, all at once but for its time. */
export function makeSymlink(target: Buffer, path: Buffer, modes: UnpackModes): void {
  symlinkSync(target, path);
  if (modes === 'store') lutimesSync(path, STORE_TIME, STORE_TIME);
}

/** Gives a directory its mode and time: all of it is there. */
export function endDirectory(directory: Buffer, modes: UnpackModes): void {
  if (modes === 'user') return;
  chmodSync(directory, 0o555);
  utimesSync(directory, STORE_TIME, STORE_TIME);
}

/** Whether all is there of something that is made for a store: a file or directory gets its mode and time last, and a symlink is made in one go. */
export function isEnded(stats: Stats): boolean {
  if (stats.isSymbolicLink()) return true;
  const modes = stats.isFile() ? [0o444, 0o555] : stats.isDirectory() ? [0o555] : [];
  return modes.includes(stats.mode & 0o7777) && stats.mtimeMs === STORE_TIME * 1000;
}

/** Writes all bytes, where the file stands or at a position: one call of `write` may take fewer. */
export function writeWhole(file: number, bytes: Uint8Array, position?: number): void {
  for (let offset = 0; offset < bytes.length; ) {
    const at = position === undefined ? null : position + offset;
    try {
      offset += writeSync(file, bytes, offset, bytes.length - offset, at);
    } catch (error) {
      throw withPath(error, file);
    }
  }
}

/** What a write fails with names no file: where the system tells which one is open, it is added. */
function withPath(error: unknown, file: number): unknown {
  try {
    if (error instanceof Error) Object.assign(error, { path: readlinkSync(`/proc/self/fd/${file}`) });
  } catch {
    // Without it the error is still the one that was.
  }
  return error;
}

function explain(error: unknown, path: Buffer): unknown {
  if (isErrno(error, 'EEXIST')) {
    return new CarportError('E_FORMAT', `\`${path}\` is there already`, {
      cause: error,
      hint: 'on a file system that ignores case, two names of the archive may be one',
    });
  }
  if (isErrno(error, 'ENAMETOOLONG')) {
    return new CarportError('E_FORMAT', 'a path in the archive is longer than this system allows', { cause: error });
  }
  return error;
}
