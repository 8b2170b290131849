/** What the page of releases does where scripts run. */

import { markup } from '../../markup.js';
import { copyButtons } from './copy.js';
import { filter } from './filter.js';
import { platformButton } from './platform.js';

/** The whole script: copy buttons, the button for this platform, a filter. Each of them makes what it needs. */
export const script = markup`
(() => {${copyButtons}${platformButton}${filter}})();
`;
