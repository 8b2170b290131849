/** The button for the platform of whoever reads the page, and the commands for that. */

import { markup } from '../../markup.js';

/**
 * What a browser that runs scripts shows of the newest release first: one button for the file of this machine, as far as the
 * browser tells, and a list to choose another of. Without scripts the table is first. It needs `make` of the copy buttons.
 */
export const platformButton = markup`
  const newest = document.querySelector('.newest');
  const files = [...document.querySelectorAll('.newest tr[data-system]')];
  const machines = {
    'x86-64': /^(x86_64|amd64|x64)/, arm64: /^(aarch64|arm64)/, armv7: /^armv7/, armv6: /^armv6|^arm$/, x86: /^(i[3-6]86|386|x86$)/,
  };
  const machineOf = (row) => {
    const parts = row.dataset.target.toLowerCase().split(/[-/]/);
    return Object.keys(machines).find((name) => row.dataset.label.includes(name) || parts.some((part) => machines[name].test(part)));
  };
  const ofThis = async () => {
    const { userAgent, userAgentData, maxTouchPoints } = navigator;
    const told = await userAgentData?.getHighEntropyValues(['architecture', 'bitness']).catch(() => undefined);
    // Telephones and tablets run none of these files.
    if (/Android|iPhone|iPad|CrOS/.test(userAgent) || (/Macintosh/.test(userAgent) && maxTouchPoints > 1)) return [];
    const system = /Windows/.test(userAgent) ? 'windows' : /Macintosh/.test(userAgent) ? 'macos' : /Linux/.test(userAgent) ? 'linux' : '';
    const known = told?.architecture === 'arm' ? (told.bitness === '32' ? 'armv7' : 'arm64')
      : told?.architecture === 'x86' ? (told.bitness === '32' ? 'x86' : 'x86-64')
      : /aarch64|arm64/i.test(userAgent) ? 'arm64' : /armv7/i.test(userAgent) ? 'armv7' : /armv6/i.test(userAgent) ? 'armv6'
      : /i[3-6]86/.test(userAgent) ? 'x86' : undefined;
    // Browsers on a Mac say Intel whatever it is, and its arm64 runs x86-64, as that of Windows does.
    const wanted = known !== undefined ? [known] : system === 'macos' ? ['arm64', 'x86-64'] : ['x86-64'];
    if (known === 'arm64' && system !== 'linux') wanted.push('x86-64');
    if (known === 'armv7') wanted.push('armv6');
    const there = files.filter((row) => row.dataset.system === system);
    return [...wanted, undefined].map((name) => there.find((row) => name === undefined
      ? /universal/.test(row.dataset.label) : machineOf(row) === name)).filter((row) => row);
  };
  const showCommands = (row) => {
    for (const part of document.querySelectorAll('.commands [data-system]')) {
      part.hidden = row !== undefined && part.dataset.system !== row.dataset.system;
      if (part.hidden || row === undefined) continue;
      part.querySelector('.label').textContent = row.dataset.label;
      const text = part.querySelector('pre');
      text.firstChild.textContent = text.dataset.pattern.replace(/\\{(name|url|sha256)\\}/g, (_, field) => row.dataset[field]);
    }
  };
  const addPlatform = async () => {
    const [own] = await ofThis();
    const button = make('a', { className: 'button' });
    const size = make('span', { className: 'muted' });
    const list = make('select', {});
    if (!own) list.append(make('option', { value: '', textContent: 'Choose yours' }));
    for (const [index, row] of files.entries()) {
      const { label, target } = row.dataset;
      const same = files.filter(({ dataset }) => dataset.label === label);
      const areAlike = new Set(same.map(({ dataset }) => dataset.target)).size < same.length;
      const name = same.length === 1 ? label
        : label + ' (' + (areAlike ? row.querySelector('.file').textContent : target.split('-').at(-1)) + ')';
      list.append(make('option', { value: String(index), textContent: name }));
    }
    const label = make('label', { className: 'choice', textContent: 'Platform ' });
    label.append(list);
    const show = () => {
      const row = list.value === '' ? undefined : files[list.value];
      button.hidden = size.hidden = row === undefined;
      showCommands(row);
      if (row === undefined) return;
      const link = row.querySelector('.file a');
      button.href = link.href;
      button.textContent = 'Download for ' + row.dataset.label;
      size.textContent = link.textContent + ', ' + row.querySelector('.size').textContent;
    };
    if (own) list.value = String(files.indexOf(own));
    list.addEventListener('change', show);
    show();
    const line = make('p', { className: 'pick' });
    line.append(button, size, label);
    newest.querySelector('.title').after(line);
  };
  if (files.length > 0) addPlatform();
`;
