/** What `carport/signing` exports. */

export {
  checkKeyName,
  type PublicKey,
  parsePublicKey,
  parseSecretKey,
  renderPublicKey,
  renderSecretKey,
  type SecretKey,
  secretKeyFromSeed,
} from './key.js';
export { fingerprint, type SignatureVerdict, signatureKeyName, signPath, verifyPath } from './signature.js';
