/** What a cache holds as Parquet files, so that people ask their own questions of it with DuckDB, Spark or ClickHouse. */

import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ColumnSource } from 'hyparquet-writer';
import { makeDirectory } from '../../lib/filesystem/make-directory.js';
import type { Root } from '../gc/mark.js';
import type { Survey } from '../gc/survey.js';
import type { BesideObject } from './stats.js';

/** Rows of one file: as many as are held at a time. */
const ROWS = 200_000;

/** A table: how many rows it has, and its columns from a row to another. */
interface Table {
  readonly name: string;
  readonly rows: number;
  columns(from: number, to: number): ColumnSource[];
}

/** Tables that were written, and their rows. */
export type ParquetRows = Readonly<Record<string, number>>;

/**
 * Writes the tables `paths`, `references`, `nars`, `roots` and `objects` into a directory, each in files
 * `NAME-00000.parquet` of at most 200,000 rows. Files of these names are replaced; a table without rows has one file.
 */
export async function writeParquet(
  directory: string,
  survey: Survey,
  roots: readonly Root[],
  beside: readonly BesideObject[],
): Promise<ParquetRows> {
  await makeDirectory(directory);
  const { parquetWriteFile } = await import('hyparquet-writer');
  const tables = [
    pathsTable(survey),
    referencesTable(survey),
    narsTable(survey),
    rootsTable(roots),
    objectsTable(beside),
  ];
  const written = new Set<string>();
  for (const { name, rows, columns } of tables) {
    for (let at = 0, number = 0; at < Math.max(1, rows); at += ROWS, number++) {
      const filename = join(directory, `${name}-${String(number).padStart(5, '0')}.parquet`);
      parquetWriteFile({ filename, columnData: columns(at, Math.min(at + ROWS, rows)) });
      written.add(basename(filename));
    }
  }
  // Of an earlier export, which had more rows: who asks all files of a table would see both.
  const isOurs = new RegExp(`^(${tables.map(({ name }) => name).join('|')})-[0-9]{5}\\.parquet$`);
  for (const name of await readdir(directory)) {
    if (isOurs.test(name) && !written.has(name)) await rm(join(directory, name));
  }
  return Object.fromEntries(tables.map(({ name, rows }) => [name, rows]));
}

function pathsTable({ narInfos, nars }: Survey): Table {
  return {
    name: 'paths',
    rows: narInfos.length,
    columns: (from, to) => [
      text('hash', from, to, (row) => narInfos.hashParts.at(row)),
      text('name', from, to, (row) => narInfos.names.at(row)),
      text('nar_key', from, to, (row) => (narInfos.nar[row]! < 0 ? undefined : nars.keys.at(narInfos.nar[row]!))),
      integer('nar_size', from, to, (row) => narInfos.narSize[row]!),
      integer('narinfo_bytes', from, to, (row) => narInfos.size[row]!),
      time('modified', from, to, (row) => narInfos.modified[row]!),
    ],
  };
}

/** References that the cache does not have are left out. */
function referencesTable({ narInfos }: Survey): Table {
  const { firstReference, references, hashParts } = narInfos;
  const owners = new Uint32Array(firstReference[narInfos.length] ?? 0);
  for (let owner = 0; owner < narInfos.length; owner++)
    owners.fill(owner, firstReference[owner]!, firstReference[owner + 1]!);
  const found = owners.map((_, at) => at).filter((at) => references[at]! >= 0);
  return {
    name: 'references',
    rows: found.length,
    columns: (from, to) => [
      text('hash', from, to, (row) => hashParts.at(owners[found[row]!]!)),
      text('reference', from, to, (row) => hashParts.at(references[found[row]!]!)),
    ],
  };
}

function narsTable({ nars }: Survey): Table {
  return {
    name: 'nars',
    rows: nars.length,
    columns: (from, to) => [
      text('key', from, to, (row) => nars.keys.at(row)),
      integer('bytes', from, to, (row) => nars.size[row]!),
      time('modified', from, to, (row) => nars.modified[row]!),
    ],
  };
}

function rootsTable(roots: readonly Root[]): Table {
  const rows = roots.flatMap(({ kind, name, hashParts }) => [...hashParts].map((hash) => ({ kind, name, hash })));
  return {
    name: 'roots',
    rows: rows.length,
    columns: (from, to) => [
      text('kind', from, to, (row) => rows[row]!.kind),
      text('name', from, to, (row) => rows[row]!.name),
      text('hash', from, to, (row) => rows[row]!.hash),
    ],
  };
}

function objectsTable(beside: readonly BesideObject[]): Table {
  return {
    name: 'objects',
    rows: beside.length,
    columns: (from, to) => [
      text('key', from, to, (row) => beside[row]!.key),
      integer('bytes', from, to, (row) => beside[row]!.size),
    ],
  };
}

function rowsOf<T>(from: number, to: number, value: (row: number) => T): T[] {
  return Array.from({ length: to - from }, (_, index) => value(from + index));
}

function text(name: string, from: number, to: number, value: (row: number) => string | undefined): ColumnSource {
  return { name, type: 'STRING', data: rowsOf(from, to, value) };
}

function integer(name: string, from: number, to: number, value: (row: number) => number): ColumnSource {
  return { name, type: 'INT64', nullable: false, data: rowsOf(from, to, (row) => BigInt(value(row))) };
}

function time(name: string, from: number, to: number, value: (row: number) => number): ColumnSource {
  return { name, type: 'TIMESTAMP', nullable: false, data: rowsOf(from, to, (row) => new Date(value(row))) };
}
