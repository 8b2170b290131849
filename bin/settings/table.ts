/** The table of settings: how each is given, and what help says of it. */

/** How a setting is given: its environment variable, and the option that stands before that and before files. */
export interface SettingSpec {
  readonly env: string;
  readonly option: string;
  /** What help says that the option takes. */
  readonly argument: string;
  readonly list: boolean;
  /** A list whose values have white space in them: in the environment each has a line. */
  readonly lines?: boolean;
  readonly number?: boolean;
  /** The words that it may be, for completion; the parser knows them, too. */
  readonly values?: readonly string[];
  /** What stands for it in each place that does not say it itself. */
  readonly default?: 'cache';
  /** Kept out of a project's file: whoever writes that must not choose whom its users trust or what they sign with. */
  readonly personal: boolean;
  readonly description: string;
}

/** Every setting by its key in `carport.toml`. Light: help is made of it. `values.ts` has what each value is. */
export const SETTINGS = {
  cache: {
    env: 'CARPORT_CACHE',
    option: '--cache',
    argument: '<url>',
    list: false,
    personal: false,
    description: 'the cache or bucket, such as s3://bucket?endpoint=… or file:///srv/cache',
  },
  to: {
    env: 'CARPORT_TO',
    option: '--to',
    argument: '<cache>',
    list: false,
    personal: false,
    default: 'cache',
    description: 'cache to push to; the one of `--cache` or CARPORT_CACHE by default',
  },
  from: {
    env: 'CARPORT_FROM',
    option: '--from',
    argument: '<cache>',
    list: true,
    personal: false,
    default: 'cache',
    description: 'caches to pull from; the one of `--cache` or CARPORT_CACHE by default',
  },
  'trusted-keys': {
    env: 'CARPORT_TRUSTED_KEYS',
    option: '--trusted-key',
    argument: '<name:base64>',
    list: true,
    personal: true,
    description: 'public keys whose signatures are accepted',
  },
  'secret-key-files': {
    env: 'CARPORT_SECRET_KEY_FILES',
    option: '--secret-key',
    argument: '<file>',
    list: true,
    personal: true,
    description:
      'files of the keys to sign with; `-` or `fd:N` reads one from there, and CARPORT_SECRET_KEY is one itself',
  },
  store: {
    env: 'CARPORT_STORE',
    option: '--store',
    argument: '<root>',
    list: false,
    personal: true,
    description: "root of carport's own store, or `nix`",
  },
  compression: {
    env: 'CARPORT_COMPRESSION',
    option: '--compression',
    argument: '<name>',
    list: false,
    values: ['zstd', 'xz', 'none'],
    personal: false,
    description: 'compression of NARs: zstd, xz or none',
  },
  level: {
    env: 'CARPORT_LEVEL',
    option: '--level',
    argument: '<number>',
    list: false,
    number: true,
    personal: false,
    description: 'level of compression',
  },
  jobs: {
    env: 'CARPORT_JOBS',
    option: '--jobs',
    argument: '<number>',
    list: false,
    number: true,
    personal: false,
    description: 'worker threads',
  },
  'skip-signed-by': {
    env: 'CARPORT_SKIP_SIGNED_BY',
    option: '--skip-signed-by',
    argument: '<keyname>',
    list: true,
    personal: false,
    description: 'leave out paths that a key of this name has signed: another cache has them',
  },
  'retry-seconds': {
    env: 'CARPORT_RETRY_SECONDS',
    option: '--retry-seconds',
    argument: '<number>',
    list: false,
    number: true,
    personal: false,
    description: 'how long a server may be gone before it is given up',
  },
  'stable-pattern': {
    env: 'CARPORT_STABLE_PATTERN',
    option: '--stable-pattern',
    argument: '<regexp>',
    list: false,
    personal: false,
    description: 'regular expression of the tags that are stable releases; the whole tag must match',
  },
  'base-url': {
    env: 'CARPORT_BASE_URL',
    option: '--base-url',
    argument: '<url>',
    list: false,
    personal: false,
    description: "where the bucket's objects are for users",
  },
  title: {
    env: 'CARPORT_TITLE',
    option: '--title',
    argument: '<text>',
    list: false,
    personal: false,
    description: 'heading of the page of releases',
  },
  forge: {
    env: 'CARPORT_FORGE',
    option: '--forge',
    argument: '<url>',
    list: false,
    personal: false,
    description: "address of the project's sources, for links",
  },
  'forge-kind': {
    env: 'CARPORT_FORGE_KIND',
    option: '--forge-kind',
    argument: '<name>',
    list: false,
    values: ['gitea', 'github', 'gitlab'],
    personal: false,
    description: 'what runs there: gitea (also for Forgejo), github or gitlab',
  },
  logo: {
    env: 'CARPORT_LOGO',
    option: '--logo',
    argument: '<file>',
    list: false,
    personal: false,
    description: 'picture beside the heading of the page: an SVG or PNG file',
  },
  'accent-color': {
    env: 'CARPORT_ACCENT_COLOR',
    option: '--accent-color',
    argument: '<#rrggbb>',
    list: false,
    personal: false,
    description: 'colour of links and buttons of the page',
  },
  'accent-color-dark': {
    env: 'CARPORT_ACCENT_COLOR_DARK',
    option: '--accent-color-dark',
    argument: '<#rrggbb>',
    list: false,
    personal: false,
    description: 'the same on dark ground (default: made of the other)',
  },
  'index-html': {
    env: 'CARPORT_INDEX_HTML',
    option: '--index-html',
    argument: '<what>',
    list: false,
    values: ['keep', 'replace', 'none'],
    personal: false,
    description: 'the page also as `index.html`: `keep` (not in place of another page), `replace` or `none`',
  },
  'simple-index': {
    env: 'CARPORT_SIMPLE_INDEX',
    option: '--simple-index',
    argument: '<when>',
    list: false,
    values: ['auto', 'always', 'never'],
    personal: false,
    description: 'indexes for pip and uv: `auto` (where there are wheels or sdists), `always` or `never`',
  },
  'required-targets': {
    env: 'CARPORT_REQUIRED_TARGETS',
    option: '--required-target',
    argument: '<triple>',
    list: true,
    personal: false,
    description: 'targets without which a release is not complete',
  },
  'minimum-age': {
    env: 'CARPORT_MINIMUM_AGE',
    option: '--minimum-age',
    argument: '<span>',
    list: false,
    personal: false,
    description: 'how old a release must be to be promoted, such as `3d`',
  },
  'ancestor-of': {
    env: 'CARPORT_ANCESTOR_OF',
    option: '--ancestor-of',
    argument: '<branch>',
    list: false,
    personal: false,
    description: 'a branch that must have the commit of a release that is promoted',
  },
  'gate-commands': {
    env: 'CARPORT_GATE_COMMANDS',
    option: '--gate-command',
    argument: '<command>',
    list: true,
    lines: true,
    personal: false,
    description: 'a command line that must succeed before a release is promoted',
  },
  'gate-seconds': {
    env: 'CARPORT_GATE_SECONDS',
    option: '--gate-seconds',
    argument: '<number>',
    list: false,
    number: true,
    personal: false,
    description: 'how long each of these commands may take',
  },
  releases: {
    env: 'CARPORT_RELEASES',
    option: '--releases',
    argument: '<url>',
    list: false,
    personal: true,
    description: 'where releases of carport itself are',
  },
  'release-keys': {
    env: 'CARPORT_RELEASE_KEYS',
    option: '--release-key',
    argument: '<name:base64>',
    list: true,
    personal: true,
    description: 'public keys that sign the index of those',
  },
} as const satisfies Record<string, SettingSpec>;

export type SettingKey = keyof typeof SETTINGS;
