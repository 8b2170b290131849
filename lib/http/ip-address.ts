/** Tells addresses from names in URLs. */

import { isIP } from 'node:net';

/** Whether the host name of a URL is an address, and has no subdomains; IPv6 has brackets there. */
export function isIpAddress(hostname: string): boolean {
  return isIP(hostname.replace(/^\[|\]$/g, '')) !== 0;
}

/** Whether the host name of a URL is this machine. */
export function isLoopbackName(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127(\.[0-9]{1,3}){3}$/.test(hostname)
  );
}
