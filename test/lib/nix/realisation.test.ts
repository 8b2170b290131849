import { describe, expect, it } from 'vitest';
import { parseDerivation } from '#lib/nix/derivation/aterm.js';
import { createRealisationHashes } from '#lib/nix/derivation/modulo.js';
import {
  isRealisationId,
  parseRealisation,
  parseTrace,
  realisationFingerprint,
  realisationId,
  renderRealisation,
  renderTrace,
  traceFingerprint,
} from '#lib/nix/realisation.js';
import { parsePublicKey } from '#lib/signing/key.js';
import { verifyText } from '#lib/signing/signature.js';
import { expectFormatError } from '../../support/errors.js';

const STORE = '/nix/store';
const LIBRARY_ID = 'sha256:8f997cbbc50815799e08c689c199bf6f9d52f32d7ff748425e58285f4eb5e08c!out';
/** Made and signed by Nix 2.8, with what it depends on. */
const SIGNED = `{"dependentRealisations":{"${LIBRARY_ID}":"4fj826dlijkpp0frr7i1mbv7a3zwgj2r-calib"},"id":"sha256:28f93223388de089870a032ca25883a8210ebe77bcf18ef520e3a61e390e43ac!out","outPath":"1vhqcs6bcfawqryxa0bckw79hjay095i-catool","signatures":["k1:RkGTAdDvQ46ToHEb617F+PRCMcy0JXnTRovI3oEygjfba0+wKo9bXoZhp5vifIYntgl7SNvcKHL5Zd+9N4SjCw=="]}`;
/** The same of Nix 2.34. */
const SIGNED_LATER = `{"dependentRealisations":{},"id":"sha256:28f93223388de089870a032ca25883a8210ebe77bcf18ef520e3a61e390e43ac!out","outPath":"1vhqcs6bcfawqryxa0bckw79hjay095i-catool","signatures":["k1:hgGMqpnbbVThvmyLg+xcDexsFMu05cg1zdtV4hTsG5bUJa1SXI4Vs77/yBzYfqXS7E82XGo4eTU9fYWdv9DrAA=="]}`;
const KEY = parsePublicKey('k1:ondop8Zcql/45bXV0rzewzKHPa+dU0E/UapDWNIhQIc=');

/** The derivations that these are of, as Nix made them. */
const LIBRARY = `${STORE}/5acpqg17j56qrbz3v0vqqq9wfc5zsz6v-calib.drv`;
const LIBRARY_TEXT =
  'Derive([("out","","r:sha256","")],[],[],"x86_64-linux","/bin/sh",["-c","echo libdata > $out"],[("builder","/bin/sh"),("name","calib"),("out","/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"),("outputHashAlgo","sha256"),("outputHashMode","recursive"),("system","x86_64-linux")])';
const TOOL_TEXT =
  'Derive([("dev","","r:sha256",""),("out","","r:sha256","")],[("/nix/store/5acpqg17j56qrbz3v0vqqq9wfc5zsz6v-calib.drv",["out"])],[],"x86_64-linux","/bin/sh",["-c","echo uses /1y4zdapclg96165vy1wib3c6fj4vxwaj0rwzxsiwnk20656m6z8k > $out; echo dev $out > $dev"],[("builder","/bin/sh"),("dev","/02qcpld1y6xhs5gz9bchpxaw0xdhmsp5dv88lh25r2ss44kh8dxz"),("name","catool"),("out","/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"),("outputHashAlgo","sha256"),("outputHashMode","recursive"),("outputs","out dev"),("system","x86_64-linux")])';

describe('realisations', () => {
  it.each([SIGNED, SIGNED_LATER])('are read and printed as Nix does, and its signatures are understood', (text) => {
    const realisation = parseRealisation(text, STORE);
    expect(renderRealisation(realisation)).toBe(text);
    expect(realisation.outPath).toBe(`${STORE}/1vhqcs6bcfawqryxa0bckw79hjay095i-catool`);
    const verdict = verifyText(realisationFingerprint(realisation), realisation.signatures, [KEY]);
    expect(verdict).toEqual({ state: 'valid', keyName: 'k1' });
  });

  it('have ids that are made of derivations, also of those that need others of their kind', async () => {
    const derivations = new Map([[LIBRARY, parseDerivation(LIBRARY_TEXT)]]);
    const hashOf = createRealisationHashes(async (path) => derivations.get(path));
    expect(realisationId(await hashOf(parseDerivation(LIBRARY_TEXT)), 'out')).toBe(LIBRARY_ID);
    expect(realisationId(await hashOf(parseDerivation(TOOL_TEXT)), 'out')).toBe(parseRealisation(SIGNED, STORE).id);
  });

  it('may lack what later versions may leave out, and have fields that nobody knows', () => {
    const text = `{"id":"${LIBRARY_ID}","outPath":"4fj826dlijkpp0frr7i1mbv7a3zwgj2r-calib","more":1}`;
    const realisation = parseRealisation(text, STORE);
    expect(realisation).toMatchObject({ dependentRealisations: {}, signatures: [] });
  });

  it.each([
    ['no JSON', '{', 'is not JSON'],
    ['a list', '[]', '`id`'],
    ['no path', `{"id":"${LIBRARY_ID}","outPath":"../x"}`, 'is not a hash part'],
    [
      'a path elsewhere',
      `{"id":"${LIBRARY_ID}","outPath":"/etc/4fj826dlijkpp0frr7i1mbv7a3zwgj2r-x"}`,
      'is not a hash part',
    ],
    ['no id', '{"id":"x!out","outPath":"4fj826dlijkpp0frr7i1mbv7a3zwgj2r-calib"}', 'its `id` is none'],
  ])('are refused with %s', (_, text, reason) => {
    expectFormatError(reason, () => parseRealisation(text, STORE));
  });

  it('have ids that cannot lead elsewhere as keys', () => {
    const hash = 'a'.repeat(64);
    expect(['!out', '!../x', '!a/b', '', '!', '!out\n'].map((end) => isRealisationId(`sha256:${hash}${end}`))).toEqual([
      true,
      false,
      false,
      false,
      false,
      false,
    ]);
  });

  it('are in another form for Nix 2.35 and later', () => {
    const path = `${STORE}/4fj826dlijkpp0frr7i1mbv7a3zwgj2r-calib`;
    const text = '{"outPath":"4fj826dlijkpp0frr7i1mbv7a3zwgj2r-calib","signatures":[{"keyName":"k1","sig":"AA=="}]}';
    expect(renderTrace(path, ['k1:AA=='])).toBe(text);
    expect(parseTrace(text, STORE)).toEqual({ outPath: path, signatures: ['k1:AA=='] });
    expect(traceFingerprint({ drvPath: 'x.drv', outputName: 'out' }, path)).toBe(
      '{"key":{"drvPath":"x.drv","outputName":"out"},"value":{"outPath":"4fj826dlijkpp0frr7i1mbv7a3zwgj2r-calib"}}',
    );
  });
});
