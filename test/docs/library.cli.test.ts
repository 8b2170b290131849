import { join } from 'node:path';
import { execa } from 'execa';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { type CodeBlock, codeBlocks, readDocument, TOP } from '../support/markdown.js';

/** An example is a module of its own; what it prints is in comments that begin with `//=> `. */
const examples = ['docs/library.md', 'README.md'].flatMap((file) =>
  codeBlocks(readDocument(file))
    .filter(({ language }) => language === 'ts')
    .map((block) => ({ ...block, file })),
);

describe('the examples of the library', () => {
  it('are there', () => {
    expect(examples.length).toBeGreaterThanOrEqual(8);
  });

  for (const example of examples) {
    it(`print what they say: ${example.file}, ${example.heading}`, async () => {
      const expected = expectedOutput(example);
      expect(expected).not.toEqual([]);
      expect(await run(example)).toEqual(expected);
    });
  }

  it('are correct in their types, as strictly as carport is', () => {
    expect(typeErrors(examples.map(({ text }) => text))).toEqual([]);
  });
});

describe('the check of types', () => {
  it('sees the types of the package', () => {
    expect(typeErrors(["import { parseHash } from 'carport/nix'; parseHash(1);"])).toHaveLength(1);
    expect(typeErrors(["import { no } from 'carport/signing'; no();"])).toHaveLength(1);
    expect(typeErrors(["import 'carport/store';"])).toHaveLength(1);
  });
});

function expectedOutput({ text }: CodeBlock): readonly string[] {
  return text.split('\n').flatMap((line) => (line.startsWith('//=> ') ? [line.slice('//=> '.length)] : []));
}

/** Runs it as a program inside the package, which finds itself by its own name. */
async function run({ text }: CodeBlock): Promise<readonly string[]> {
  const options = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };
  const { outputText } = ts.transpileModule(text, { compilerOptions: options });
  const { stdout } = await execa(process.execPath, ['--input-type=module', '-'], { cwd: TOP, input: outputText });
  return stdout.split('\n');
}

function typeErrors(texts: readonly string[]): readonly string[] {
  const { config } = ts.readConfigFile(join(TOP, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, TOP);
  const sources = new Map(texts.map((text, index) => [join(TOP, `test/docs/example-${index}.ts`), text]));
  const settings: ts.CompilerOptions = { ...options, noEmit: true, incremental: false, noUnusedLocals: false };
  delete settings.tsBuildInfoFile;
  const host = ts.createCompilerHost(settings);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (name) => sources.has(name) || fileExists(name);
  host.readFile = (name) => sources.get(name) ?? readFile(name);
  host.getSourceFile = (name, version, ...rest) => {
    const text = sources.get(name);
    return text === undefined ? getSourceFile(name, version, ...rest) : ts.createSourceFile(name, text, version);
  };
  const program = ts.createProgram([...sources.keys()], settings, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}
