import { describe, it } from 'vitest';

/** In CI every peer must be there: a missing one fails instead of being skipped. */
const PEERS_REQUIRED = process.env.CARPORT_REQUIRE_PEERS === '1';

/**
 * `describe` for tests against a real program. With a reason why it is `missing`, the suite is skipped and its title
 * says why; with `CARPORT_REQUIRE_PEERS=1` it fails.
 */
export function describeWithPeer(missing: string | undefined, title: string, body: () => void): void {
  if (missing === undefined) {
    describe(title, body);
  } else if (PEERS_REQUIRED) {
    describe(title, () => {
      it('finds its peer', () => {
        throw new Error(missing);
      });
    });
  } else {
    describe.skip(`${title}: skipped, ${missing}`, body);
  }
}
